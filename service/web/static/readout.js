// The numbers of one hour: the chart's legend at the same time.

import { data, el, show } from "./dom.js";
import * as format from "./format.js";
import { LAYERS } from "./series.js";

/** Numbers of the hour that is pointed at, or picked: the legend of the chart at the same time. */
export function readout(title, table, plan, t, zone, mark) {
  const { power, price } = plan;
  const start = new Date(plan.starts[t]),
    end = new Date(start.getTime() + plan.step_s[t] * 1000);
  show(
    title,
    el("span", {}, format.day(start, zone)),
    ` ${format.time(start, zone)}–${format.time(end, zone)}`,
    mark && el("em", {}, mark),
  );
  const row = (key, name, value, className, note) =>
    el(
      "tr",
      { class: className, title: note },
      el("th", { scope: "row" }, key ? el("i", { class: `swatch ${key}` }) : null, name),
      value,
    );
  const watts = (w) => [el("td", {}, data(w, format.exactMw(w)), el("span", { class: "unit" }, " MW"))];
  const layers = [...LAYERS]
    .reverse()
    .map((layer) =>
      row(layer.key, layer.name, watts(layer.of(power)[t]), layer.of(power)[t] ? "" : "zero", layer.hint),
    );
  const range = plan.site
    ? null
    : row(
        "range",
        "Cheapest – dearest site",
        el("td", {}, `${format.price(price.low_usd_per_mwh[t])} – ${format.price(price.high_usd_per_mwh[t])}`),
      );
  const isForecast = price.forecast_from !== null && t >= price.forecast_from;
  const band =
    isForecast && price.p10_usd_per_mwh.length
      ? row(
          "band",
          "Forecast, 10–90 %",
          el("td", {}, `${format.price(price.p10_usd_per_mwh[t])} – ${format.price(price.p90_usd_per_mwh[t])}`),
          "band-row",
          plan.site
            ? "with 10 % each, the price comes out below or above it"
            : "as wide as if the prices of all sites moved together",
        )
      : null;
  show(
    table,
    el(
      "tbody",
      {},
      row("limit", "Grid limit", watts(power.limit_w[t])),
      row("headroom", "Idle headroom", watts(power.headroom_w[t]), power.headroom_w[t] ? "" : "zero"),
    ),
    el("tbody", {}, layers, row(null, "Draw at the meter", watts(power.draw_w[t]), "total")),
    el(
      "tbody",
      {},
      row(
        isForecast ? "price ahead" : "price",
        isForecast ? "Price, forecast" : plan.site ? "Energy price" : "Energy price, mean",
        el(
          "td",
          {},
          data(price.mean_usd_per_mwh[t], format.price(price.mean_usd_per_mwh[t])),
          el("span", { class: "unit" }, " $/MWh"),
        ),
      ),
      band,
      range,
    ),
    el(
      "tbody",
      {},
      row(
        null,
        "Hash rate running",
        el("td", {}, format.fixed(plan.hash_ph_per_s[t] / 1000, 2), el("span", { class: "unit" }, " EH/s")),
      ),
      row(
        null,
        plan.step_s[t] === 3600 ? "Profit of the hour" : `Profit of these ${format.span(plan.step_s[t])}`,
        el("td", {}, data(plan.usd[t], format.usd(plan.usd[t]))),
        "total",
      ),
    ),
  );
}
