// The top of the page: what must not be missed, what is planned for when, and the key figures.

import { data, el, show } from "./dom.js";
import * as format from "./format.js";
import { hashingW, overHours } from "./series.js";
import { BASIS, LABELS, planning } from "./words.js";

const sum = (values) => values.reduce((total, value) => total + value, 0);

const told = new WeakMap();

/** What must not be missed: a screen reader hears it, so it is rewritten only when it says something else. */
export function alerts(host, plan, now) {
  const at = plan && BASIS[plan.basis];
  const stale = plan && now && !now.fresh ? notFresh(plan, now) : [];
  const unanswered = (now?.unanswered ?? []).filter((words) => !plan?.site || words.startsWith(`${plan.site}: `));
  const all = [
    at?.words && ["loud", at.title, at.words, plan.reasons],
    unsold(plan).length && ["", "Called, but not known to be sold", "", unsold(plan)],
    plan?.recoveries.length && ["", "Recovery under way", "", recoveries(plan)],
    stale.length && ["", "What sites are served is not fresh", "", stale],
    unanswered.length && ["", "Controllers that do not answer", "", unanswered.slice(0, 6)],
  ].filter(Boolean);
  const words = JSON.stringify(all);
  if (told.get(host) === words) return;
  told.set(host, words);
  show(
    host,
    all.map(([kind, title, text, list]) =>
      el(
        "div",
        { class: `alert ${kind}` },
        el("strong", {}, title),
        text ? el("p", {}, text) : null,
        el(
          "ul",
          {},
          list.map((line) => el("li", {}, line)),
        ),
      ),
    ),
  );
}

/** Why what is served is not fresh; on the page of a site what is of the fleet, and of the site itself. */
const notFresh = (plan, { reasons, held }) => {
  const told = reasons.filter((reason) => !/^(busy|fallback): /.test(reason));
  if (!plan.site) return told;
  const ofFleet = told.filter((reason) => !/^stale: .* (is held on its [a-z ]+ plan: |more sites are held$)/.test(reason));
  return plan.site in held ? [...ofFleet, `held, not optimised: ${held[plan.site]}`] : ofFleet;
};

/** Calls of reserves of which nothing is known to be sold. */
const unsold = (plan) =>
  (plan?.reasons ?? []).filter((words) => words.startsWith("call_unsold: ")).map((words) => words.slice(13));

/** Each with its site, by the title that people know it by; the page of a site need not repeat it. */
const recoveries = (plan) => {
  const titles = new Map(plan.sites.map((row) => [row.name, row.title]));
  const words = plan.recoveries.map((r) => (plan.site ? r.words : `${titles.get(r.site) ?? r.site}: ${r.words}`));
  return [...words.slice(0, 6), words.length > 6 && `and ${words.length - 6} more`].filter(Boolean);
};

/** The bar of a running optimisation. */
export function running(host, now) {
  host.hidden = !now?.planning;
  if (host.hidden) return;
  host.querySelector("progress").value = now.planning.share;
  show(host.querySelector("p"), planning(now.planning));
}

const labels = (plan) => plan.labels.map((label) => el("span", { class: "chip", title: LABELS[label] ?? "" }, label));

/** Scope, span of time and what must be said of the inputs, under the title. */
export function period(host, plan, zone, age) {
  const first = new Date(plan.starts[0]),
    end = new Date(first.getTime() + sum(plan.step_s) * 1000);
  show(
    host,
    `${format.day(first, zone)} ${format.time(first, zone)} – ${format.day(end, zone)} ${format.time(end, zone)} ${format.zoneName(first, zone)}`,
    el(
      "span",
      { class: "tags" },
      el("span", { class: `chip basis ${plan.basis}` }, BASIS[plan.basis].name),
      labels(plan),
      el("span", { id: "age", class: "age" }, `made ${age} ago`),
    ),
  );
}

export function figures(host, plan) {
  const { power } = plan;
  const hours = sum(plan.step_s) / 3600;
  const mwh = (watts) => overHours(watts, plan.step_s) / 1e6;
  const energy = mwh(power.draw_w),
    serving = mwh(power.inference_w),
    limit = mwh(power.limit_w);
  const hashing = mwh(power.draw_w.map((_, t) => hashingW(power, t)));
  const cost = overHours(
    power.draw_w.map((w, t) => (w / 1e6) * plan.price.mean_usd_per_mwh[t]),
    plan.step_s,
  );
  const hash = overHours(plan.hash_ph_per_s, plan.step_s) / hours;
  const revenue = sum(plan.terms.filter((term) => term.usd > 0).map((term) => term.usd));
  const served = sum(
    plan.terms.filter((term) => ["inference_revenue", "reserved_revenue"].includes(term.term)).map((term) => term.usd),
  );
  const tile = (name, value, note, className = "") =>
    el("div", { class: className }, el("dt", {}, name), el("dd", {}, value, el("small", {}, note)));
  const inference = plan.site
    ? tile(
        "Inference",
        plan.pools.length ? `${format.fixed(serving / hours, 1)} MW` : "–",
        plan.pools.length ? `earns ${format.usd(plan.served_usd)} for the fleet` : "no GPU nodes here",
      )
    : tile(
        "Inference",
        `${format.fixed(serving / hours, 1)} MW`,
        `${format.percent(energy ? serving / energy : 0)} of power, ${format.percent(revenue ? served / revenue : 0, 0)} of revenue`,
      );
  show(
    host,
    tile(
      plan.site ? "Profit of the site" : "Expected profit",
      data(plan.profit_usd, format.usd(plan.profit_usd)),
      `${format.usd((plan.profit_usd / hours) * 24)} a day`,
      "first",
    ),
    tile(
      "Hashing",
      hash >= 1000 ? `${format.fixed(hash / 1000, 1)} EH/s` : `${format.fixed(hash, 0)} PH/s`,
      `${format.fixed(hashing / hours, 1)} MW on average`,
    ),
    inference,
    tile(
      "Energy",
      energy >= 10000 ? `${format.fixed(energy / 1000, 1)} GWh` : `${format.count(energy)} MWh`,
      `at ${format.price(energy ? cost / energy : 0)} USD/MWh`,
    ),
    tile(
      "Left on the grid",
      format.percent(limit ? 1 - energy / limit : 0),
      `${format.count(limit - energy)} MWh unused`,
    ),
    tile(
      "Below the best plan",
      plan.proof.gap_percent === null ? "not proven" : `≤ ${format.gapPercent(plan.proof.gap_percent)}`,
      plan.proof.gap_usd === null
        ? `${BASIS[plan.basis].name.toLowerCase()} plan, no solver`
        : `${format.usd(plan.proof.gap_usd)} at most${plan.site ? ", whole fleet" : ""}`,
    ),
  );
}
