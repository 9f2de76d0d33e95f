// Why an hour of a site is as it is: asked for by a click, worked out by the service, and gone when another hour is picked.

import { Problem, read } from "./api.js";
import { data, el, headings, show } from "./dom.js";
import * as format from "./format.js";

/** A figure as it is to be read; what is not known is a dash, and no figure to machines either. */
const figure = (value, shown) => (value == null ? "–" : data(value, shown(value)));
const money = (value) => figure(value, (usd) => format.usd(Math.abs(usd) < 0.005 ? 0 : usd, 2));
const price = (value) => figure(value, format.price);
const perMillion = (value) => figure(value, (usd) => format.fixed(usd, 4));
/** How sure a figure is, where there is one. */
const sure = (value, shown) => (value == null ? "–" : shown);

export class Why {
  constructor(host) {
    this.host = host;
    this.asked = null;
  }

  /** Hide what was said of another hour, site or plan. */
  keep(plan, t) {
    if (this.asked && this.asked !== keyOf(plan, t)) {
      this.asked = null;
      this.host.hidden = true;
    }
  }

  /** Ask for a step of the site that is shown, and show the answer unless something else was asked for since. */
  async ask(plan, t, zone) {
    const key = keyOf(plan, t);
    this.asked = key;
    const start = new Date(plan.starts[t]);
    const title = el("h3", { id: "why-title" }, `Why ${format.day(start, zone)} ${format.time(start, zone)}`);
    this.host.hidden = false;
    show(this.host, title, el("p", { class: "note" }, "Working out what else could have been done…"));
    this.uncover();
    const again = () => this.ask(plan, t, zone);
    let shown;
    try {
      const query = new URLSearchParams({ site: plan.site, step: t });
      shown = told(
        await read(`/v1/plans/${encodeURIComponent(plan.plan_id)}/explanations?${query}`, { always: true }),
        again,
      );
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      shown = unanswered(error.message, again);
    }
    if (this.asked !== key) return;
    show(this.host, title, shown);
    this.uncover();
  }

  /** The panel stands below the chart: a click must not seem to do nothing. */
  uncover() {
    this.host.scrollIntoView({ block: "nearest" });
  }
}

const keyOf = (plan, t) => `${plan.plan_id}|${plan.site}|${t}`;

const unanswered = (words, again) => [
  el("p", { class: "note" }, words),
  el("button", { type: "button", class: "quiet", onclick: again }, "Ask again"),
];

/** What the service says of the hour; it says itself what time did not suffice for. */
function told(found, again) {
  const block = found.next_block;
  const late = `Time did not suffice for ${found.missing.join(", ")}; a dash stands for no figure, not for 0.`;
  return [
    el("p", { class: "reason" }, found.reason),
    found.missing.length > 0 && el("div", { class: "unknown" }, unanswered(late, again)),
    el(
      "dl",
      { class: "facts" },
      fact("One more MW", "with the counts as they are, USD/MWh", price(found.marginal_usd_per_mwh), "marginal"),
      fact("Next block", `${format.exactMw(block.block_w)} MW more limit, USD/MWh`, price(block.value_usd_per_mwh), "block"),
    ),
    table(
      ["Another use of this hour", "Profit changes by, USD", "±"],
      found.alternatives.map((other) => [
        other.words,
        money(other.change_usd),
        sure(other.change_usd, money(other.plus_minus_usd)),
      ]),
    ),
    el(
      "div",
      { class: "pairs" },
      table(
        ["Breaks even at", "USD/MWh", "USD/MWh to step up", "USD/PH/day"],
        found.break_evens.map((at) => [
          `${at.group} ${at.mode}`,
          price(at.power_usd_per_mwh),
          price(at.step_up_usd_per_mwh),
          price(at.hashprice_usd_per_ph_day),
        ]),
      ),
      table(
        ["More work, USD per million units", "marginal", "a node's work here"],
        found.workloads.map((work) => [
          work.workload,
          perMillion(work.value_usd_per_mwork),
          perMillion(work.next_block?.value_usd_per_mwork),
        ]),
      ),
    ),
    table(
      ["One more MW of a reserve, USD/MW-h", "sold, MW", "marginal", "next MW", "±"],
      found.reserves.map((sold) => [
        `${sold.reserve}, ${sold.is_award ? "awarded" : "offered"}`,
        data(sold.kw, format.exactMw(sold.kw * 1000)),
        price(sold.marginal_usd_per_mw_h),
        sold.fits ? price(sold.next_mw_usd_per_mw_h) : "does not fit",
        sure(sold.next_mw_usd_per_mw_h, price(sold.plus_minus_usd_per_mw_h)),
      ]),
    ),
    found.notes.map((note) => el("p", { class: "note" }, note)),
  ];
}

const fact = (name, note, value, key) => [
  el("dt", {}, name),
  el("dd", { "data-figure": key }, value, el("span", { class: "unit" }, ` ${note}`)),
];

const table = (names, rows) =>
  rows.length > 0 &&
  el(
    "table",
    { class: "work" },
    headings(...names),
    el(
      "tbody",
      {},
      rows.map(([name, ...figures]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, name),
          figures.map((figure) => el("td", {}, figure)),
        ),
      ),
    ),
  );
