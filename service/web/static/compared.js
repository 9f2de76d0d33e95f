// The comparison of a what-if with the plan without it, or of two what-ifs: money by term, energy, decisions, by site.

import { data, el, headings } from "./dom.js";
import * as format from "./format.js";
import { bars } from "./money.js";
import { LABELS, certainty, termName } from "./words.js";

const SHOWN = 12;
const USES = [
  ["hashing_mwh", "Hashing"],
  ["serving_mwh", "Inference"],
  ["base_mwh", "Base load and sleep"],
];
const SIDES = { difference: "difference", before: "without", after: "with" };
const usd = (value) => format.usd(value, Math.abs(value) < 10 ? 2 : 0);
const mwh = (value) => format.fixed(Math.abs(value) < 0.05 ? 0 : value, 1);
const hours = ({ start, end }) => format.hours((Date.parse(end) - Date.parse(start)) / 1000);
const moved = (value) => Math.abs(value ?? 0) >= 0.005;
const gained = (found) => data(found.profit_usd.difference, format.signed(found.profit_usd.difference, usd));
const sure = ({ plus_minus_usd: sure }) => sure !== null && ["± ", data(sure, usd(sure))];

/** What came of one what-if: `found` is its comparison, `titles` names sites as people know them. */
export function outcome(found, titles) {
  const { profit_usd: profit } = found;
  const how = !moved(profit.difference) ? "stays at" : profit.difference < 0 ? "falls to" : "rises to";
  return [
    el("p", { class: "outcome" }, gained(found), el("span", {}, sure(found))),
    el(
      "p",
      { class: "verdict" },
      `Expected profit ${how} ${usd(profit.after)}, from ${usd(profit.before)}, over ${hours(found)} hours. `,
      certainty(found),
    ),
    notes(found.notes),
    el(
      "p",
      { class: "note" },
      `${format.count(found.decisions_changed)} of ${format.count(found.decisions)} decisions changed. `,
      found.labels.map((label) => [el("span", { class: "chip", title: LABELS[label] ?? "" }, label), " "]),
    ),
    tables(
      Object.entries(SIDES).map(([side, title]) => ({ of: found, side, title })),
      sites(found, titles),
    ),
  ];
}

/** Two what-ifs beside each other, each against its own base; `between` compares their plans, where both are kept. */
export function sideBySide(first, second, between, titles) {
  const columns = [
    { of: first.found, side: "difference", title: `1 · ${first.name}` },
    { of: second.found, side: "difference", title: `2 · ${second.name}` },
    between && { of: between, side: "difference", title: "2 less 1" },
  ].filter(Boolean);
  const line = ({ name, found }) => el("li", {}, `${name}: `, gained(found), " ", sure(found));
  const bySite = named(
    columns,
    (found) => found.sites,
    "site",
    (site) => site?.profit_usd,
    titles,
  );
  return [
    el("ol", { class: "verdict" }, line(first), line(second)),
    between &&
      el(
        "p",
        { class: "verdict" },
        `With the second the fleet earns ${usd(between.profit_usd.after)}, `,
        gained(between),
        ` against the ${usd(between.profit_usd.before)} with the first. ${certainty(between)}`,
      ),
    !between &&
      el("p", { class: "note" }, "Their plans are not both kept any more, so only what each changes is told."),
    tables(columns, rowsOf("Sites, USD", columns, bySite, usd)),
  ];
}

const notes = (lines) =>
  lines.length > 0 &&
  el(
    "ul",
    { class: "reasons" },
    lines.map((line) => el("li", {}, line)),
  );

/**
 * Rows of what comparisons hold by name, those that differ most first: [title, what picks its figures, a name for the row].
 * `of` finds the things in a comparison, `figures` those of one thing.
 */
function named(columns, of, kind, figures = (thing) => thing, titles = new Map()) {
  const every = [...new Set(columns.flatMap((column) => Object.keys(of(column.of))))];
  const weight = ([, pick]) => Math.abs(pick(columns.at(-1).of)?.difference ?? 0);
  return every
    .map((name) => [titles.get(name) ?? name, (found) => figures(of(found)[name]), `${kind}:${name}`])
    .sort((a, b) => weight(b) - weight(a));
}

/** The tables of all columns; `bySite` is the one of sites. */
function tables(columns, bySite) {
  const terms = named(columns, (found) => found.profit_by_term_usd, "term");
  const known = terms.filter(([, pick]) => columns.some(({ of }) => moved(pick(of)?.before) || moved(pick(of)?.after)));
  const zeros = terms.length - known.length;
  return [
    rowsOf(
      "Money by term, USD",
      columns,
      known.map(([term, ...rest]) => [termName(term), ...rest]),
      usd,
      {
        total: ["Profit", (found) => found.profit_usd, "profit"],
        drawn: columns[0].of === columns.at(-1).of,
        note: zeros ? `${zeros} ${zeros === 1 ? "term is" : "terms are"} zero` : "",
      },
    ),
    rowsOf(
      "Energy, MWh",
      columns,
      USES.map(([use, title]) => [title, (found) => found.energy[use], `energy:${use}`]),
      mwh,
    ),
    bySite,
    rowsOf(
      "Workloads, USD",
      columns,
      named(columns, (found) => found.workload_profit_usd, "workload"),
      usd,
    ),
  ];
}

/** A table of figures: a row is its name, what picks it out of a comparison, and a name for itself. */
function rowsOf(title, columns, rows, write, { total, drawn = false, note = "" } = {}) {
  if (!rows.length) return null;
  const changed = (pick) => pick(columns[0].of)?.difference ?? 0;
  const bar = drawn && bars(rows.map(([, pick]) => changed(pick)));
  const cell = ({ of, side }, pick) => {
    const value = pick(of)?.[side];
    if (value === undefined) return el("td", { class: side }, "–");
    return el("td", { class: side }, data(value, side === "difference" ? format.signed(value, write) : write(value)));
  };
  const line = ([name, pick, key], last) =>
    el(
      "tr",
      { "data-row": key, class: !last && !columns.some(({ of }) => moved(pick(of)?.difference)) && "zero" },
      el("th", { scope: "row" }, name),
      drawn && (last ? el("td", { class: "bar" }) : bar(0, changed(pick), changed(pick) < 0 ? "out" : "gain")),
      columns.map((column) => cell(column, pick)),
    );
  return block(
    title,
    note,
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "of")),
        drawn && el("th", { class: "bar", "aria-hidden": "true" }),
        columns.map(({ title: head, side }) => el("th", { scope: "col", class: side }, head)),
      ),
    ),
    shortened(
      rows.map((row) => line(row)),
      total ? rows.length : SHOWN,
    ),
    total && el("tfoot", {}, line(total, true)),
  );
}

/** A body of rows, of which the first are shown until more are wanted. */
function shortened(rows, shown = SHOWN) {
  const body = el("tbody", {}, rows.slice(0, shown));
  const more = () => (body.append(...rows.slice(shown)), button.closest("tr").remove());
  const button = el("button", { type: "button", class: "quiet", onclick: more }, `Show ${rows.length - shown} more`);
  if (rows.length > shown) body.append(el("tr", {}, el("td", { class: "more", colspan: 9 }, button)));
  return body;
}

const block = (title, note, ...parts) =>
  el(
    "div",
    { class: "block" },
    el("div", { class: "head" }, el("h3", {}, title), note && el("p", { class: "note" }, note)),
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
      el("table", { class: "work compared" }, ...parts),
    ),
  );

/** Sites whose money or decisions changed, those that changed most first; the others are counted. */
function sites(found, titles) {
  const rows = Object.entries(found.sites)
    .filter(([, site]) => site.decisions_changed || moved(site.profit_usd.difference))
    .sort(([, a], [, b]) => Math.abs(b.profit_usd.difference) - Math.abs(a.profit_usd.difference));
  const same = Object.keys(found.sites).length - rows.length;
  const note = same ? `${same} ${same === 1 ? "site is" : "sites are"} unchanged` : "";
  if (!rows.length) return block("Sites", note);
  const figure = (value, write) => el("td", {}, data(value, format.signed(value, write)));
  const line = ([name, site]) =>
    el(
      "tr",
      { "data-row": `site:${name}` },
      el("th", { scope: "row" }, titles.get(name) ?? name),
      figure(site.profit_usd.difference, usd),
      figure(site.energy.hashing_mwh.difference, mwh),
      figure(site.energy.serving_mwh.difference, mwh),
      el("td", {}, data(site.decisions_changed, format.count(site.decisions_changed))),
    );
  const whole = block(
    "Sites, differences",
    note,
    headings("site", "profit, USD", "hashing, MWh", "inference, MWh", "decisions"),
    shortened(rows.map(line)),
  );
  whole.querySelector("table").classList.add("by-site");
  return whole;
}
