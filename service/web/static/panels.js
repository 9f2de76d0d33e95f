// The figures beside the chart: key numbers, the hour's numbers, money by term, the proof.

import { data, el, show, svg } from "./dom.js";
import * as format from "./format.js";
import { LAYERS, hashingW, overHours } from "./series.js";
import { BASIS, LABELS, STATUS, TERMS, planning, verdict } from "./words.js";

const sum = (values) => values.reduce((total, value) => total + value, 0);

export function alerts(host, plan, now) {
  const items = [];
  const at = plan && BASIS[plan.basis];
  const running = plan && now?.planning ? el("div", { class: "running" }, progress(now.planning), el("p", {}, planning(now.planning))) : null;
  if (at?.words) {
    items.push(el("div", { class: "alert loud" }, el("strong", {}, at.title), el("p", {}, at.words), reasons(plan), running));
  }
  if (plan?.recoveries.length) {
    items.push(el("div", { class: "alert" }, el("strong", {}, "Recovery under way"), el("ul", {}, plan.recoveries.slice(0, 6).map((r) => el("li", {}, r.words)))));
  }
  const stale = now && !now.fresh ? now.reasons.filter((reason) => !/^(busy|fallback): /.test(reason)) : [];
  if (plan && stale.length) {
    items.push(el("div", { class: "alert" }, el("strong", {}, "What sites are served is not fresh"), el("ul", {}, stale.map((reason) => el("li", {}, reason)))));
  }
  if (running && !at.words) items.push(el("div", { class: "alert calm" }, running));
  show(host, items);
}

export const progress = (running) =>
  el("progress", { max: 1, "aria-label": "Planning", value: running.share });

const reasons = (plan) => plan.reasons.length ? el("ul", { class: "reasons" }, plan.reasons.map((reason) => el("li", {}, reason))) : null;

const labels = (plan) => plan.labels.map((label) => el("span", { class: "chip", title: LABELS[label] ?? "" }, label));

/** Scope, span of time and what must be said of the inputs, under the title. */
export function period(host, plan, zone, age) {
  const first = new Date(plan.starts[0]), end = new Date(first.getTime() + sum(plan.step_s) * 1000);
  show(host,
    `${format.day(first, zone)} ${format.time(first, zone)} – ${format.day(end, zone)} ${format.time(end, zone)} ${format.zoneName(first, zone)}`,
    el("span", { class: "tags" },
      el("span", { class: `chip basis ${plan.basis}` }, BASIS[plan.basis].name),
      labels(plan),
      el("span", { id: "age", class: "age" }, `made ${age} ago`)));
}

export function figures(host, plan) {
  const { power } = plan;
  const hours = sum(plan.step_s) / 3600;
  const mwh = (watts) => overHours(watts, plan.step_s) / 1e6;
  const energy = mwh(power.draw_w), serving = mwh(power.inference_w), limit = mwh(power.limit_w);
  const hashing = mwh(power.draw_w.map((_, t) => hashingW(power, t)));
  const cost = overHours(power.draw_w.map((w, t) => (w / 1e6) * plan.price.mean_usd_per_mwh[t]), plan.step_s);
  const hash = overHours(plan.hash_ph_per_s, plan.step_s) / hours;
  const revenue = sum(plan.terms.filter((term) => term.usd > 0).map((term) => term.usd));
  const served = sum(plan.terms.filter((term) => ["inference_revenue", "reserved_revenue"].includes(term.term)).map((term) => term.usd));
  const tile = (name, value, note, className = "") => el("div", { class: className }, el("dt", {}, name), el("dd", {}, value, el("small", {}, note)));
  const inference = plan.site
    ? tile("Inference", plan.pools.length ? `${format.fixed(serving / hours, 1)} MW` : "–", plan.pools.length ? `earns ${format.usd(plan.served_usd)} for the fleet` : "no GPU nodes here")
    : tile("Inference", `${format.fixed(serving / hours, 1)} MW`, `${format.percent(energy ? serving / energy : 0)} of power, ${format.percent(revenue ? served / revenue : 0, 0)} of revenue`);
  show(host,
    tile(plan.site ? "Profit of the site" : "Expected profit", data(plan.profit_usd, format.usd(plan.profit_usd)), `${format.usd((plan.profit_usd / hours) * 24)} a day`, "first"),
    tile("Hashing", hash >= 1000 ? `${format.fixed(hash / 1000, 1)} EH/s` : `${format.fixed(hash, 0)} PH/s`, `${format.fixed(hashing / hours, 1)} MW on average`),
    inference,
    tile("Energy", energy >= 10000 ? `${format.fixed(energy / 1000, 1)} GWh` : `${format.count(energy)} MWh`, `at ${format.price(energy ? cost / energy : 0)} USD/MWh`),
    tile("Left on the grid", format.percent(limit ? 1 - energy / limit : 0), `${format.count(limit - energy)} MWh unused`),
    tile("Below the best plan", plan.proof.gap_percent === null ? "not proven" : `≤ ${format.gapPercent(plan.proof.gap_percent)}`,
      plan.proof.gap_usd === null ? `${BASIS[plan.basis].name.toLowerCase()} plan, no solver` : `${format.usd(plan.proof.gap_usd)} at most${plan.site ? ", whole fleet" : ""}`));
}

/** Numbers of the hour that is pointed at, or picked: the legend of the chart at the same time. */
export function readout(title, table, plan, t, zone, isNext) {
  const { power, price } = plan;
  const start = new Date(plan.starts[t]), end = new Date(start.getTime() + plan.step_s[t] * 1000);
  show(title, el("span", {}, format.day(start, zone)), ` ${format.time(start, zone)}–${format.time(end, zone)}`, isNext ? el("em", {}, "next") : null);
  const row = (key, name, value, className, note) =>
    el("tr", { class: className, title: note }, el("th", { scope: "row" }, key ? el("i", { class: `swatch ${key}` }) : null, name), value);
  const watts = (w) => [el("td", {}, data(w, format.exactMw(w)), el("span", { class: "unit" }, " MW"))];
  const layers = [...LAYERS].reverse().map((layer) => row(layer.key, layer.name, watts(layer.of(power)[t]), layer.of(power)[t] ? "" : "zero", layer.hint));
  const range = plan.site ? null : row("range", "Cheapest – dearest site", el("td", {}, `${format.price(price.low_usd_per_mwh[t])} – ${format.price(price.high_usd_per_mwh[t])}`));
  show(table,
    el("tbody", {}, row("limit", "Grid limit", watts(power.limit_w[t])), row("headroom", "Idle headroom", watts(power.headroom_w[t]), power.headroom_w[t] ? "" : "zero")),
    el("tbody", {}, layers, row(null, "Draw at the meter", watts(power.draw_w[t]), "total")),
    el("tbody", {},
      row("price", plan.site ? "Energy price" : "Energy price, mean", el("td", {}, data(price.mean_usd_per_mwh[t], format.price(price.mean_usd_per_mwh[t])), el("span", { class: "unit" }, " $/MWh"))), range),
    el("tbody", {},
      row(null, "Hash rate running", el("td", {}, format.fixed(plan.hash_ph_per_s[t] / 1000, 2), el("span", { class: "unit" }, " EH/s"))),
      row(null, "Profit of the hour", el("td", {}, data(plan.usd[t], format.usd(plan.usd[t]))), "total")));
}

/** Terms as a waterfall: each bar begins where the one above ended. */
export function money(table, note, plan) {
  let level = 0;
  const spans = plan.terms.map(({ usd }) => [level, (level += usd)]);
  const high = Math.max(1, ...spans.flat()), low = Math.min(0, ...spans.flat());
  const at = (usd) => ((usd - low) / (high - low)) * 100;
  const bar = (from, to, kind) => {
    const [left, right] = [Math.min(at(from), at(to)), Math.max(at(from), at(to))];
    return el("td", { class: "bar", "aria-hidden": "true" }, svg("svg", { width: "100%", height: 30 },
      svg("line", { class: "zero-line", x1: `${at(0)}%`, x2: `${at(0)}%`, y1: 0, y2: 30 }),
      svg("rect", { class: kind, x: `${left}%`, width: `${Math.max(0.25, right - left)}%`, y: 9, height: 12, rx: 1.5 })));
  };
  const kind = (term, usd) => usd < 0 ? "out" : term === "hashing_revenue" ? "hash" : "serve";
  show(table,
    el("thead", { class: "visually-hidden" }, el("tr", {}, el("th", { scope: "col" }, "Term"), el("th", { scope: "col" }, "Bar"), el("th", { scope: "col" }, "USD"))),
    el("tbody", {}, plan.terms.map(({ term, usd }, n) =>
      el("tr", { "data-term": term, class: usd ? "" : "zero" }, el("th", { scope: "row" }, TERMS[term] ?? term), bar(...spans[n], kind(term, usd)), el("td", {}, data(usd, format.usd(usd)))))),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, plan.site ? "Profit of the site" : "Profit"), bar(0, plan.profit_usd, "sum"), el("td", {}, data(plan.profit_usd, format.usd(plan.profit_usd))))));
  show(note, plan.site
    ? "USD; what the site serves is booked with the workloads"
    : `USD over ${format.fixed(sum(plan.step_s) / 3600, 0)} hours`);
}

export function proof(host, plan, zone) {
  const { proof: p } = plan;
  const made = new Date(plan.created_at);
  const line = (name, value) => value === null ? null : [el("dt", {}, name), el("dd", {}, value)];
  show(host,
    el("p", { class: "verdict" }, verdict(p)),
    el("dl", { class: "facts" },
      line("Basis", BASIS[plan.basis].title),
      line("Status", STATUS[p.status]),
      line("Objective", data(p.objective_usd, format.usd(p.objective_usd, 2))),
      line("Certified bound", p.bound_usd === null ? "none" : data(p.bound_usd, format.usd(p.bound_usd, 2))),
      line("Gap", p.gap_usd === null ? "unknown" : [data(p.gap_usd, format.usd(p.gap_usd, 2)), " = ", data(p.gap_percent, format.gapPercent(p.gap_percent))]),
      line("Audit", plan.audit_passed ? `passed, ${plan.rules_checked} rules re-derived` : "not passed"),
      line("Made", `${format.day(made, zone)} ${format.time(made, zone)}, in ${format.fixed(p.wall_s, 1)} s`),
      line("Inputs", [plan.labels.length ? `${plan.labels.join(", ")}, ` : "", el("code", { title: plan.problem_digest }, plan.problem_digest.replace("sha256:", "").slice(0, 12))]),
      line("Plan", el("code", {}, plan.plan_id))),
    plan.basis === "optimised" && plan.reasons.length ? reasons(plan) : null);
}
