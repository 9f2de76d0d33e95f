// Where the profit comes from, and how good the plan is proven to be.

import { data, el, show, svg } from "./dom.js";
import * as format from "./format.js";
import { BASIS, LABELS, STATUS, termName, verdict } from "./words.js";

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Cells that draw a bar from one figure to another, on one scale for all of `figures` and zero. */
export function bars(figures) {
  const high = Math.max(1, ...figures),
    low = Math.min(0, ...figures);
  const at = (usd) => ((usd - low) / (high - low)) * 100;
  return (from, to, kind) => {
    const [left, right] = [Math.min(at(from), at(to)), Math.max(at(from), at(to))];
    return el(
      "td",
      { class: "bar", "aria-hidden": "true" },
      svg(
        "svg",
        { width: "100%", height: 30 },
        svg("line", { class: "zero-line", x1: `${at(0)}%`, x2: `${at(0)}%`, y1: 0, y2: 30 }),
        svg("rect", {
          class: kind,
          x: `${left}%`,
          width: `${Math.max(0.25, right - left)}%`,
          y: 9,
          height: 12,
          rx: 1.5,
        }),
      ),
    );
  };
}

/** Terms as a waterfall: each bar begins where the one above ended. */
export function money(table, note, plan) {
  const terms = plan.terms.filter((term) => !term.is_zero);
  const zeros = plan.terms.length - terms.length;
  let level = 0;
  const spans = terms.map(({ usd }) => [level, (level += usd)]);
  const bar = bars(spans.flat());
  const earns = { hashing_revenue: "hash", inference_revenue: "serve", reserved_revenue: "serve" };
  const kind = (term, usd) => (usd < 0 ? "out" : (earns[term] ?? "other"));
  show(
    table,
    el(
      "thead",
      { class: "visually-hidden" },
      el(
        "tr",
        {},
        el("th", { scope: "col" }, "Term"),
        el("th", { scope: "col" }, "Bar"),
        el("th", { scope: "col" }, "USD"),
      ),
    ),
    el(
      "tbody",
      {},
      terms.map(({ term, usd }, n) =>
        el(
          "tr",
          { "data-term": term, class: usd ? "" : "zero" },
          el("th", { scope: "row" }, termName(term)),
          bar(...spans[n], kind(term, usd)),
          el("td", {}, data(usd, format.usd(usd))),
        ),
      ),
    ),
    el(
      "tfoot",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "row" }, plan.site ? "Profit of the site" : "Profit"),
        bar(0, plan.profit_usd, "sum"),
        el("td", {}, data(plan.profit_usd, format.usd(plan.profit_usd))),
      ),
    ),
  );
  show(
    note,
    plan.site
      ? "USD; what the site serves is booked with the workloads"
      : `USD over ${format.hours(sum(plan.step_s))} hours`,
    zeros ? `; ${zeros} ${zeros === 1 ? "term is" : "terms are"} zero` : "",
  );
}

export function proof(host, plan, zone) {
  const { proof: p } = plan;
  const made = new Date(plan.created_at);
  const line = (name, value) => (value === null ? null : [el("dt", {}, name), el("dd", {}, value)]);
  show(
    host,
    el("p", { class: "verdict" }, verdict(p)),
    el(
      "dl",
      { class: "facts" },
      line("Basis", BASIS[plan.basis].title),
      line("Status", p.gap_usd === null ? "lawful, nothing proven" : STATUS[p.status]),
      line("Objective", data(p.objective_usd, format.usd(p.objective_usd, 2))),
      line("Certified bound", p.bound_usd === null ? "none" : data(p.bound_usd, format.usd(p.bound_usd, 2))),
      line(
        "Gap",
        p.gap_usd === null
          ? "unknown"
          : [data(p.gap_usd, format.usd(p.gap_usd, 2)), " = ", data(p.gap_percent, format.gapPercent(p.gap_percent))],
      ),
      line("Audit", plan.audit_passed ? `passed, ${plan.rules_checked} rules re-derived` : "not passed"),
      line("Made", `${format.day(made, zone)} ${format.time(made, zone)}, in ${format.fixed(p.wall_s, 1)} s`),
      line("Inputs", [
        plan.labels.map((label) => `${label}: ${LABELS[label] ?? ""} `),
        el("code", { title: plan.problem_digest }, plan.problem_digest.replace("sha256:", "").slice(0, 12)),
      ]),
      line("Plan", el("code", {}, plan.plan_id)),
    ),
    plan.basis === "optimised" && plan.reasons.length ? reasons(plan) : null,
  );
}

const reasons = (plan) =>
  plan.reasons.length
    ? el(
        "ul",
        { class: "reasons" },
        plan.reasons.map((reason) => el("li", {}, reason)),
      )
    : null;
