// The chart in words: every number of it as a table, and one hour in a sentence.

import { data, el, headings, show } from "./dom.js";
import * as format from "./format.js";
import { LAYERS, hashingW } from "./series.js";

/** Every number of the chart, hour by hour. */
export function everyHour(host, plan, zone, step) {
  const { power, price } = plan;
  const watts = (w) => el("td", {}, data(w, format.exactMw(w)));
  const range = plan.site ? [] : ["Lowest, USD/MWh", "Highest, USD/MWh"];
  const names = [
    `From (${format.zoneName(new Date(plan.starts[0]), zone)})`,
    ...LAYERS.map((layer) => layer.name),
    "Draw",
    "Limit",
    "Headroom",
    "Price, USD/MWh",
    ...range,
    "Profit, USD",
  ];
  const rows = plan.starts.map((start, t) => {
    const instant = new Date(start);
    return el(
      "tr",
      { "data-step": t, class: t === step ? "now" : "" },
      el(
        "th",
        { scope: "row" },
        el("time", { datetime: start }, `${format.day(instant, zone)} ${format.time(instant, zone)}`),
      ),
      LAYERS.map((layer) => watts(layer.of(power)[t])),
      watts(power.draw_w[t]),
      watts(power.limit_w[t]),
      watts(power.headroom_w[t]),
      el("td", {}, data(price.mean_usd_per_mwh[t], format.price(price.mean_usd_per_mwh[t]))),
      plan.site
        ? []
        : [price.low_usd_per_mwh, price.high_usd_per_mwh].map((series) =>
            el("td", {}, data(series[t], format.price(series[t]))),
          ),
      el("td", {}, data(plan.usd[t], format.usd(plan.usd[t], 2))),
    );
  });
  show(
    host,
    el("table", {}, el("caption", {}, "Power in MW, mean over each step"), headings(...names), el("tbody", {}, rows)),
  );
}

/** One sentence of the hour, for the set-point heading. */
export function inWords(plan, t) {
  const limit = plan.power.limit_w[t];
  const hashing = hashingW(plan.power, t);
  if (!limit) return "dark: nothing may draw";
  return `${format.mw(plan.power.draw_w[t])} of ${format.mw(limit)} MW: ${format.mw(hashing)} hashing${plan.power.inference_w.some(Boolean) ? `, ${format.mw(plan.power.inference_w[t])} serving` : ""}`;
}
