// Tables below the chart: sites of the fleet, machines of a site, and the chart's own numbers.

import { strip } from "./chart.js";
import { data, el, show } from "./dom.js";
import * as format from "./format.js";
import { LAYERS, hashingW } from "./series.js";

const head = (...names) => el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name))));

const SORTS = {
  title: ["Site", (row) => row.title.toLowerCase(), 1],
  strip: ["48 h, draw against limit", null],
  draw: ["Draw, MW", (row, t) => row.draw_w[t], -1],
  used: ["Of limit", (row, t) => row.draw_w[t] / (row.limit_w[t] || 1), -1],
  hashing: ["Hashing, MW", (row, t) => row.hashing_w[t], -1],
  inference: ["Inference, MW", (row, t) => row.inference_w[t], -1],
  price: ["USD/MWh", (row, t) => row.price_usd_per_mwh[t], -1],
  usd: ["Own profit, USD", (row) => row.usd, -1],
  served: ["Served, USD", (row) => row.served_usd, -1],
};

/** The fleet's sites in one hour; a click on a heading sorts, a click on a name picks the site. */
export class SiteTable {
  constructor(host, onPick) {
    Object.assign(this, { host, onPick, by: "usd", turned: false });
  }

  draw(plan, t) {
    if (this.plan !== plan) this.strips = new Map(plan.sites.map((row) => [row.name, siteStrip(row)]));
    Object.assign(this, { plan, t });
    const [, key, direction] = SORTS[this.by];
    const rows = [...plan.sites].sort((a, b) => {
      const [x, y] = [key(a, t), key(b, t)];
      return (x < y ? -1 : x > y ? 1 : a.name.localeCompare(b.name)) * direction * (this.turned ? -1 : 1);
    });
    show(this.host, el("table", { class: "sites" }, this.heading(), el("tbody", {}, rows.map((row) => this.row(row, t)))));
  }

  heading() {
    const cells = Object.entries(SORTS).map(([name, [label, key, direction]]) => {
      if (!key) return el("th", { scope: "col", class: name }, label);
      const sorted = this.by === name ? ((direction > 0) !== this.turned ? "ascending" : "descending") : null;
      return el("th", { scope: "col", class: name, "aria-sort": sorted }, el("button", { type: "button", class: "sort", onclick: () => this.sort(name) }, label));
    });
    return el("thead", {}, el("tr", {}, cells));
  }

  sort(name) {
    this.turned = this.by === name && !this.turned;
    this.by = name;
    this.draw(this.plan, this.t);
    this.host.querySelector(`th.${name} button`).focus();
  }

  row(row, t) {
    const share = row.limit_w[t] ? row.draw_w[t] / row.limit_w[t] : 0;
    return el("tr", { "data-site": row.name },
      el("th", { scope: "row" }, el("a", { href: `?site=${encodeURIComponent(row.name)}`, onclick: (event) => this.follow(event, row.name) }, row.title), el("small", {}, row.region.replaceAll("_", " "))),
      el("td", { class: "strip" }, this.strips.get(row.name)),
      el("td", {}, data(row.draw_w[t], format.exactMw(row.draw_w[t]))),
      el("td", {}, row.limit_w[t] ? format.percent(share, 0) : "dark"),
      el("td", {}, data(row.hashing_w[t], format.exactMw(row.hashing_w[t]))),
      el("td", { class: row.inference_w[t] ? "" : "zero" }, data(row.inference_w[t], row.inference_w[t] ? format.exactMw(row.inference_w[t]) : "–")),
      el("td", {}, data(row.price_usd_per_mwh[t], format.price(row.price_usd_per_mwh[t]))),
      el("td", {}, data(row.usd, format.usd(row.usd))),
      el("td", { class: row.served_usd ? "" : "zero" }, data(row.served_usd, row.served_usd ? format.usd(row.served_usd) : "–")));
  }

  follow(event, name) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.onPick(name);
  }
}

function siteStrip(row) {
  const rest = row.draw_w.map((w, t) => Math.max(0, w - row.hashing_w[t] - row.inference_w[t]));
  return strip([["inference", row.inference_w], ["standby", rest], ["normal", row.hashing_w]], row.limit_w, {
    label: `${row.title}: draws ${format.mw(Math.min(...row.draw_w))} to ${format.mw(Math.max(...row.draw_w))} MW over the horizon`,
  });
}

const rate = (work, t) => work.kind === "reserved" ? [data(work.work_per_h[t], format.fixed(work.work_per_h[t] / 1e6, 0)), " nodes"] : [data(work.work_per_h[t], format.short(work.work_per_h[t])), " tokens/h"];
const set = (kind, blocks, name) => el("span", { class: blocks ? "count" : "count zero" }, el("i", { class: `swatch ${kind}` }), data(blocks, format.count(blocks)), ` ${name}`);

/** A site's set-points in one hour: blocks by mode, nodes, work. */
export function machines(host, plan, t) {
  const wide = { width: 240, height: 26 };
  const price = plan.price.mean_usd_per_mwh[t];
  const groups = plan.groups.map((group) =>
    el("tr", { "data-group": group.name }, el("th", { scope: "row" }, group.name, el("small", {}, group.model)),
      el("td", { class: "strip" }, strip(group.modes.map((mode) => [mode.level, mode.blocks]), plan.starts.map(() => group.blocks), { ...wide, label: `${group.name}: blocks by mode over the horizon` })),
      el("td", { class: "counts" }, group.modes.map((mode) => set(mode.level, mode.blocks[t], mode.name)), set("asleep", group.asleep_blocks[t], "asleep")),
      el("td", { class: "pays", title: "Price at the meter at which the most efficient mode earns just what its energy costs" },
        el("span", { class: group.break_even_usd_per_mwh[t] < price ? "under" : "" }, data(group.break_even_usd_per_mwh[t], format.price(group.break_even_usd_per_mwh[t])))),
      el("td", {}, format.count(group.blocks), " blocks")));
  const pools = plan.pools.map((pool) =>
    el("tr", { "data-pool": pool.name }, el("th", { scope: "row" }, pool.name, el("small", {}, `${pool.gpu_type} nodes`)),
      el("td", { class: "strip" }, strip([["inference", pool.nodes_on]], plan.starts.map(() => pool.nodes), { ...wide, label: `${pool.name}: nodes on over the horizon` })),
      el("td", { class: "counts" }, set("inference", pool.nodes_on[t], "on"), pool.work.filter((work) => work.work_per_h[t]).map((work) => el("span", { class: "count work" }, work.workload, " ", rate(work, t)))),
      el("td", { class: "pays" }, "–"), el("td", {}, format.count(pool.nodes), " nodes")));
  show(host, el("table", { class: "machines" }, head("Machines", "48 h", "Set-point of the hour", "Mines below, USD/MWh", "Of"), el("tbody", {}, groups, pools)));
}

/** What a site serves over the horizon, by workload. */
export function served(host, plan) {
  const total = new Map();
  for (const work of plan.pools.flatMap((pool) => pool.work)) {
    const known = total.get(work.workload) ?? { kind: work.kind, work: 0, usd: 0 };
    total.set(work.workload, { kind: work.kind, work: known.work + work.work, usd: work.usd === null ? null : known.usd + work.usd });
  }
  const rows = [...total].filter(([, { work }]) => work).sort((a, b) => (b[1].usd ?? 0) - (a[1].usd ?? 0)).map(([name, { kind, work, usd }]) =>
    el("tr", {}, el("th", { scope: "row" }, name, el("small", {}, kind)), el("td", {}, amount(kind, work)), el("td", {}, usd === null ? el("span", { class: "unit" }, "paid anyway") : data(usd, format.usd(usd)))));
  host.hidden = !rows.length;
  if (rows.length) show(host, el("h3", {}, "Served here"), el("table", { class: "work" }, head("Workload", "Work", "Earns for the fleet"), el("tbody", {}, rows)));
}

const amount = (kind, work) => kind === "reserved" ? [data(work, format.count(work / 1e6)), " node-hours"] : [data(work, format.short(work)), " tokens"];

/** What was asked of the fleet's workloads, and how much of it is served. */
export function demand(host, plan) {
  const rows = plan.workloads.map((w) => {
    const share = w.asked_work ? 1 - w.unserved_work / w.asked_work : 1;
    return el("tr", { "data-workload": w.name }, el("th", { scope: "row" }, w.name, el("small", {}, w.kind)), el("td", {}, amount(w.kind, w.asked_work)),
      el("td", { class: share < 0.9995 ? "under" : "" }, w.kind === "batch" ? el("span", { class: "unit" }, w.late_work ? [amount(w.kind, w.late_work), " late"] : "in time") : data(w.unserved_work, format.percent(share))));
  });
  host.hidden = !rows.length;
  if (rows.length) show(host, el("h3", {}, "Inference asked and served"), el("table", { class: "work" }, head("Workload", "Asked for", "Served"), el("tbody", {}, rows)));
}

/** Every number of the chart, hour by hour. */
export function everyHour(host, plan, zone, step) {
  const { power, price } = plan;
  const watts = (w) => el("td", {}, data(w, format.exactMw(w)));
  const range = plan.site ? [] : ["Lowest, USD/MWh", "Highest, USD/MWh"];
  const names = [`From (${format.zoneName(new Date(plan.starts[0]), zone)})`, ...LAYERS.map((layer) => layer.name), "Draw", "Limit", "Headroom", "Price, USD/MWh", ...range, "Profit, USD"];
  const rows = plan.starts.map((start, t) => {
    const instant = new Date(start);
    return el("tr", { "data-step": t, class: t === step ? "now" : "" },
      el("th", { scope: "row" }, el("time", { datetime: start }, `${format.day(instant, zone)} ${format.time(instant, zone)}`)),
      LAYERS.map((layer) => watts(layer.of(power)[t])), watts(power.draw_w[t]), watts(power.limit_w[t]), watts(power.headroom_w[t]),
      el("td", {}, data(price.mean_usd_per_mwh[t], format.price(price.mean_usd_per_mwh[t]))),
      plan.site ? [] : [price.low_usd_per_mwh, price.high_usd_per_mwh].map((series) => el("td", {}, data(series[t], format.price(series[t])))),
      el("td", {}, data(plan.usd[t], format.usd(plan.usd[t], 2))));
  });
  show(host, el("table", {}, el("caption", {}, "Power in MW, mean over each step"), head(...names), el("tbody", {}, rows)));
}

/** One sentence of the hour, for the set-point heading. */
export function inWords(plan, t) {
  const limit = plan.power.limit_w[t];
  const hashing = hashingW(plan.power, t);
  if (!limit) return "dark: nothing may draw";
  return `${format.mw(plan.power.draw_w[t])} of ${format.mw(limit)} MW: ${format.mw(hashing)} hashing${plan.power.inference_w.some(Boolean) ? `, ${format.mw(plan.power.inference_w[t])} serving` : ""}`;
}
