// What machines and workloads do: a site's set-points, what it serves, and what is asked of the whole fleet.

import { strip } from "./chart.js";
import { data, el, headings, show } from "./dom.js";
import * as format from "./format.js";

const rate = (work, t) =>
  work.kind === "reserved"
    ? [data(work.work_per_h[t], format.fixed(work.work_per_h[t] / 1e6, 0)), " nodes"]
    : [data(work.work_per_h[t], format.short(work.work_per_h[t])), " tokens/h"];
const set = (kind, blocks, name) =>
  el(
    "span",
    { class: blocks ? "count" : "count zero" },
    el("i", { class: `swatch ${kind}` }),
    data(blocks, format.count(blocks)),
    ` ${name}`,
  );

/** A site's set-points in one hour: blocks by mode, nodes, work. */
export function machines(host, plan, t) {
  const wide = { width: 240, height: 26 };
  const price = plan.price.mean_usd_per_mwh[t];
  const groups = plan.groups.map((group) =>
    el(
      "tr",
      { "data-group": group.name },
      el("th", { scope: "row" }, group.name, el("small", {}, group.model)),
      el(
        "td",
        { class: "strip" },
        strip(
          group.modes.map((mode) => [mode.level, mode.blocks]),
          plan.starts.map(() => group.blocks),
          { ...wide, label: `${group.name}: blocks by mode over the horizon` },
        ),
      ),
      el(
        "td",
        { class: "counts" },
        group.modes.map((mode) => set(mode.level, mode.blocks[t], mode.name)),
        set("asleep", group.asleep_blocks[t], "asleep"),
      ),
      el(
        "td",
        {
          class: "pays",
          title: "Price at the meter at which the most efficient mode earns just what its energy costs",
        },
        el(
          "span",
          { class: group.break_even_usd_per_mwh[t] < price ? "under" : "" },
          data(group.break_even_usd_per_mwh[t], format.price(group.break_even_usd_per_mwh[t])),
        ),
      ),
      el("td", {}, format.count(group.blocks), " blocks"),
    ),
  );
  const pools = plan.pools.map((pool) =>
    el(
      "tr",
      { "data-pool": pool.name },
      el("th", { scope: "row" }, pool.name, el("small", {}, `${pool.gpu_type} nodes`)),
      el(
        "td",
        { class: "strip" },
        strip(
          [["inference", pool.nodes_on]],
          plan.starts.map(() => pool.nodes),
          { ...wide, label: `${pool.name}: nodes on over the horizon` },
        ),
      ),
      el(
        "td",
        { class: "counts" },
        set("inference", pool.nodes_on[t], "on"),
        pool.nodes_warm[t] ? el("span", { class: "count" }, format.count(pool.nodes_warm[t]), " warm") : [],
        pool.work
          .filter((work) => work.work_per_h[t])
          .map((work) => el("span", { class: "count work" }, work.workload, " ", rate(work, t))),
      ),
      el("td", { class: "pays" }, "–"),
      el("td", {}, format.count(pool.nodes), " nodes"),
    ),
  );
  const reserves = plan.reserves.map((reserve) => {
    const most = Math.max(...reserve.kw);
    return el(
      "tr",
      { "data-reserve": reserve.name },
      el("th", { scope: "row" }, reserve.name, el("small", {}, "reserve sold")),
      el(
        "td",
        { class: "strip" },
        strip(
          [["normal", reserve.kw]],
          plan.starts.map(() => most),
          { ...wide, label: `${reserve.name}: kW sold over the horizon` },
        ),
      ),
      el("td", { class: "counts" }, data(reserve.kw[t], format.count(reserve.kw[t])), " kW can be called"),
      el("td", { class: "pays" }, "–"),
      el("td", {}, format.count(most), " kW at most"),
    );
  });
  show(
    host,
    el(
      "table",
      { class: "machines" },
      headings("Machines", "Over the horizon", "Set-point of the hour", "Mines below, USD/MWh", "Of"),
      el("tbody", {}, groups, pools, reserves),
    ),
  );
}

/** What a site serves over the horizon, by workload. */
export function served(host, plan) {
  const total = new Map();
  for (const work of plan.pools.flatMap((pool) => pool.work)) {
    const known = total.get(work.workload) ?? { kind: work.kind, work: 0, usd: 0 };
    total.set(work.workload, {
      kind: work.kind,
      work: known.work + work.work,
      usd: work.usd === null ? null : known.usd + work.usd,
    });
  }
  const rows = [...total]
    .filter(([, { work }]) => work)
    .sort((a, b) => (b[1].usd ?? 0) - (a[1].usd ?? 0))
    .map(([name, { kind, work, usd }]) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, name, el("small", {}, kind)),
        el("td", {}, amount(kind, work)),
        el("td", {}, usd === null ? el("span", { class: "unit" }, "paid anyway") : data(usd, format.usd(usd))),
      ),
    );
  host.hidden = !rows.length;
  if (rows.length)
    show(
      host,
      el("h3", {}, "Served here"),
      el("table", { class: "work" }, headings("Workload", "Work", "Earns for the fleet"), el("tbody", {}, rows)),
    );
}

const amount = (kind, work) =>
  kind === "reserved"
    ? [data(work, format.count(work / 1e6)), " node-hours"]
    : [data(work, format.short(work)), " tokens"];

/** What was asked of the fleet's workloads, and how much of it is served. */
export function demand(host, plan) {
  const rows = plan.workloads.map((w) => {
    const share = w.asked_work ? 1 - w.unserved_work / w.asked_work : 1;
    return el(
      "tr",
      { "data-workload": w.name },
      el("th", { scope: "row" }, w.name, el("small", {}, w.kind)),
      el("td", {}, amount(w.kind, w.asked_work)),
      el(
        "td",
        { class: share < 0.9995 ? "under" : "" },
        w.kind === "batch"
          ? el("span", { class: "unit" }, w.late_work ? [amount(w.kind, w.late_work), " late"] : "in time")
          : data(w.unserved_work, format.percent(share)),
      ),
    );
  });
  host.hidden = !rows.length;
  if (rows.length)
    show(
      host,
      el("h3", {}, "Inference asked and served"),
      el("table", { class: "work" }, headings("Workload", "Asked for", "Served"), el("tbody", {}, rows)),
    );
}
