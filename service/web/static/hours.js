// The chart in words: every number of it as a table, and one hour in a sentence.

import { data, el, headings, show } from "./dom.js";
import * as format from "./format.js";
import { LAYERS, hashingW } from "./series.js";

/** Every number of the chart, hour by hour. */
export function everyHour(host, plan, zone, step) {
  const { power, price } = plan;
  const watts = (w) => el("td", {}, data(w, format.exactMw(w)));
  const hasBand = price.p10_usd_per_mwh.length > 0;
  const isForecast = (t) => price.forecast_from !== null && t >= price.forecast_from;
  const range = plan.site ? [] : ["Lowest, USD/MWh", "Highest, USD/MWh"];
  const names = [
    `From (${format.zoneName(new Date(plan.starts[0]), zone)})`,
    ...LAYERS.map((layer) => layer.name),
    "Draw",
    "Limit",
    "Headroom",
    "Price, USD/MWh",
    ...(hasBand ? ["Forecast 10 %", "Forecast 90 %"] : []),
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
      el(
        "td",
        { class: isForecast(t) ? "ahead" : "" },
        data(price.mean_usd_per_mwh[t], format.price(price.mean_usd_per_mwh[t])),
      ),
      hasBand
        ? [price.p10_usd_per_mwh, price.p90_usd_per_mwh].map((series) =>
            el("td", {}, isForecast(t) ? data(series[t], format.price(series[t])) : "–"),
          )
        : [],
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
