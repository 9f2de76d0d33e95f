// The power chart: steps stacked up to the grid limit, the price as a line on its own axis, one hour marked.
// Hand-written SVG: a plan is constant within a step, so every shape is a staircase, and the page needs no library.

import { svg } from "./dom.js";
import * as format from "./format.js";
import { LAYERS, edges } from "./series.js";

const SPACE = { top: 26, right: 58, bottom: 40, left: 58 };

const LABEL_PX = 52;

/** Round numbers that cover [low, high] in about `wanted` intervals. */
export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((size) => size >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9),
    last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, n) => (first + n) * step);
}

/** Decimals that tell all ticks apart and none wrong, in a unit. */
function places(all, unit) {
  const off = (scaled) => Math.abs(Math.round(scaled) - scaled);
  const whole = (digits) => all.every((value) => off((value / unit) * 10 ** digits) < 1e-6);
  return [0, 1, 2].find(whole) ?? 3;
}

/** A staircase through the steps, as path data; `close` leads back along a second staircase. */
function stairs(x, y, values, close = null) {
  let path = "";
  values.forEach((value, t) => {
    path += `${t ? "V" : `M${x[0]} `}${y(value)}H${x[t + 1]}`;
  });
  if (close) {
    for (let t = close.length - 1; t >= 0; t -= 1)
      path += `${t === close.length - 1 ? "L" + x[t + 1] + " " : "V"}${y(close[t])}H${x[t]}`;
    path += "Z";
  }
  return path;
}

export class Chart {
  /** `onHover(step or null)` and `onPick(step)` tell what the reader points at. */
  constructor(host, { onHover, onPick }) {
    this.host = host;
    this.onHover = onHover;
    this.onPick = onPick;
    this.root = svg("svg", { class: "chart-svg", role: "img", "aria-describedby": "chart-note" });
    host.append(this.root);
    this.root.addEventListener("pointermove", (event) => this.onHover(this.stepUnder(event)));
    this.root.addEventListener("pointerleave", () => this.onHover(null));
    this.root.addEventListener("click", (event) => {
      const step = this.stepUnder(event);
      if (step !== null) this.onPick(step);
    });
    new ResizeObserver(() => this.plan && this.draw(this.plan, this.view)).observe(host);
  }

  stepUnder(event) {
    if (!this.x) return null;
    const at = event.clientX - this.root.getBoundingClientRect().left;
    if (at < this.x[0] || at > this.x.at(-1)) return null;
    return Math.max(0, this.x.findIndex((edge, t) => t > 0 && at < edge) - 1);
  }

  draw(plan, view) {
    Object.assign(this, { plan, view });
    const width = Math.max(280, this.host.clientWidth);
    const height = Math.max(220, this.host.clientHeight);
    const narrow = width < 560;
    const space = narrow ? { ...SPACE, left: 46, right: 40 } : SPACE;
    const bounds = edges(plan);
    const inner = width - space.left - space.right;
    this.x = bounds.map((edge) => round(space.left + ((edge - bounds[0]) / (bounds.at(-1) - bounds[0])) * inner));
    const top = Math.max(...plan.power.limit_w, ...plan.power.draw_w);
    const wattTicks = ticks(0, top * 1.02 || 1e6, narrow ? 4 : 5);
    const { price } = plan;
    const low = Math.min(0, ...price.low_usd_per_mwh, ...price.p10_usd_per_mwh),
      high = Math.max(1, ...price.high_usd_per_mwh, ...price.p90_usd_per_mwh);
    const priceTicks = ticks(low, high, narrow ? 4 : 5);
    const scale = (all) => (value) =>
      round(height - space.bottom - ((value - all[0]) / (all.at(-1) - all[0])) * (height - space.top - space.bottom));
    const frame = { ...space, width, height, y: scale(wattTicks), p: scale(priceTicks), wattTicks, priceTicks, narrow };
    this.frame = frame;
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.root.setAttribute("width", width);
    this.root.setAttribute("height", height);
    this.root.setAttribute("aria-label", view.label);
    this.cursor = svg("g", { class: "cursor" });
    this.root.replaceChildren(
      hatch(),
      this.grid(frame),
      this.areas(frame),
      this.band(frame),
      this.lines(frame),
      this.times(frame, view),
      this.present(frame, view),
      this.cursor,
    );
    this.mark(view.step, view.hover);
  }

  grid({ left, right, width, top, y, p, wattTicks, priceTicks, narrow }) {
    const unit = narrow ? "$/MWh" : "USD/MWh";
    return svg(
      "g",
      { class: "grid" },
      wattTicks.map((value) => [
        svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        svg("text", { x: left - 8, y: y(value), class: "end middle" }, format.mw(value, places(wattTicks, 1e6))),
      ]),
      priceTicks.map((value) =>
        svg("text", { x: width - right + 8, y: p(value), class: "price-tick middle" }, format.price(value, places(priceTicks, 1))),
      ),
      svg("text", { x: left - 8, y: top - 14, class: "end unit" }, "MW"),
      svg("text", { x: width - 2, y: top - 14, class: "price-tick end" }, unit),
    );
  }

  areas({ y }) {
    const { power } = this.plan;
    let below = power.draw_w.map(() => 0);
    const shapes = LAYERS.map((layer) => {
      const above = layer.of(power).map((value, t) => value + below[t]);
      const shape = svg("path", { class: `area ${layer.key}`, d: stairs(this.x, y, above, below) });
      below = above;
      return shape;
    });
    const head = svg("path", { class: "area headroom", d: stairs(this.x, y, power.limit_w, below) });
    return svg("g", {}, shapes, head, svg("path", { class: "draw-line", d: stairs(this.x, y, power.draw_w) }));
  }

  lines({ y, p, left, narrow }) {
    const { power, price, site } = this.plan;
    const mean = stairs(this.x, p, price.mean_usd_per_mwh);
    const from = price.forecast_from ?? price.mean_usd_per_mwh.length;
    const known = stairs(this.x, p, price.mean_usd_per_mwh.slice(0, from));
    const ahead = this.after(from, p, price.mean_usd_per_mwh);
    const limit = stairs(this.x, y, power.limit_w);
    return svg(
      "g",
      {},
      site
        ? null
        : [price.low_usd_per_mwh, price.high_usd_per_mwh].map((edge) =>
            svg("path", { class: "price-range", d: stairs(this.x, p, edge) }),
          ),
      svg("path", { class: "price-halo", d: mean }),
      known && svg("path", { class: "price-line", d: known }),
      ahead && svg("path", { class: "price-line ahead", d: ahead }),
      svg("path", { class: "limit-line", d: limit }),
      svg(
        "text",
        { class: "limit-label", x: left + 8, y: y(power.limit_w[0]) - 7 },
        `Grid limit ${format.mw(power.limit_w[0])} MW${narrow ? "" : this.view.limitNote}`,
      ),
    );
  }

  /** The steps from one on as a staircase that begins where the one before it ends; nothing where there are none. */
  after(from, scale, values) {
    if (from >= values.length) return "";
    const x = this.x.slice(from);
    const rise = from ? `M${x[0]} ${scale(values[from - 1])}V` : "";
    const path = stairs(x, scale, values.slice(from));
    return rise ? path.replace(/^M\S+ /, rise) : path;
  }

  /** Where the price is a forecast: between what it is undercut and what it is exceeded with 10 per cent. */
  band({ p }) {
    const { forecast_from: from, p10_usd_per_mwh: low, p90_usd_per_mwh: high } = this.plan.price;
    if (from === null || !low.length) return null;
    const x = this.x.slice(from);
    return svg("path", { class: "price-band", d: stairs(x, p, high.slice(from), low.slice(from)) });
  }

  times({ height, bottom, width, right, top, narrow }, { zone }) {
    const base = height - bottom;
    const hourPx = ((this.x.at(-1) - this.x[0]) * 3.6e6) / (edges(this.plan).at(-1) - edges(this.plan)[0]);
    const every = [1, 2, 3, 6, 12].find((hours) => hours * hourPx >= LABEL_PX) ?? 24;
    const marks = [];
    let lastDay = -Infinity;
    this.plan.starts.forEach((start, t) => {
      const instant = new Date(start);
      const { hour, minute } = format.wall(instant, zone);
      const midnight = hour === 0 && minute < this.plan.step_s[t] / 60;
      if (midnight) marks.push(svg("line", { class: "midnight", x1: this.x[t], x2: this.x[t], y1: top - 8, y2: base }));
      if (hour % every === 0 && minute < this.plan.step_s[t] / 60) {
        marks.push(svg("line", { class: "tick", x1: this.x[t], x2: this.x[t], y1: base, y2: base + 5 }));
        marks.push(svg("text", { x: this.x[t], y: base + 18, class: "centre" }, format.time(instant, zone)));
      }
      if (midnight || t === 0) {
        const room = width - right - this.x[t];
        const next = this.plan.starts.findIndex((s, n) => n > t && format.wall(new Date(s), zone).hour === 0);
        const until = next < 0 ? Infinity : this.x[next] - this.x[t];
        if (room > 40 && (t || until > 96) && this.x[t] - lastDay > 96) {
          marks.push(
            svg(
              "text",
              { x: t ? this.x[t] : this.x[t] - 17, y: base + 34, class: t ? "day centre" : "day" },
              format.day(instant, zone),
            ),
          );
          lastDay = this.x[t];
        }
      }
    });
    return svg(
      "g",
      { class: "times" },
      svg("line", { class: "axis", x1: this.x[0], x2: this.x.at(-1), y1: base, y2: base }),
      marks,
    );
  }

  present({ top, height, bottom }, { now }) {
    const bounds = edges(this.plan);
    if (now < bounds[0] || now > bounds.at(-1)) return null;
    const x = round(this.x[0] + ((now - bounds[0]) / (bounds.at(-1) - bounds[0])) * (this.x.at(-1) - this.x[0]));
    return svg(
      "g",
      { class: "present" },
      svg("line", { x1: x, x2: x, y1: top - 4, y2: height - bottom }),
      svg("circle", { cx: x, cy: top - 6, r: 3 }),
    );
  }

  /** Mark the picked hour, and the hour that is pointed at. */
  mark(step, hover) {
    if (!this.frame) return;
    Object.assign(this.view, { step, hover });
    const { top, height, bottom, p, y } = this.frame;
    const column = (t, kind) =>
      svg("rect", {
        class: kind,
        x: this.x[t],
        width: this.x[t + 1] - this.x[t],
        y: top - 8,
        height: height - bottom - top + 8,
      });
    const parts = [column(step, "picked")];
    const at = hover ?? step;
    if (hover !== null) parts.push(column(hover, "hovered"));
    const middle = (this.x[at] + this.x[at + 1]) / 2;
    parts.push(svg("circle", { class: "price-dot", cx: middle, cy: p(this.plan.price.mean_usd_per_mwh[at]), r: 4 }));
    parts.push(svg("circle", { class: "draw-dot", cx: middle, cy: y(this.plan.power.draw_w[at]), r: 3.5 }));
    this.cursor.replaceChildren(...parts);
  }
}

const round = (value) => Math.round(value * 10) / 10;

const hatch = () =>
  svg(
    "defs",
    {},
    svg(
      "pattern",
      { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 6 }),
    ),
    svg(
      "pattern",
      { id: "band", width: 4, height: 4, patternUnits: "userSpaceOnUse" },
      svg("rect", { class: "band-wash", width: 4, height: 4 }),
      svg("line", { class: "band-line", x1: 0.5, y1: 0, x2: 0.5, y2: 4 }),
    ),
  );

/** A small chart without axes: layers stacked over the horizon against a ceiling, for tables. */
export function strip(layers, ceiling, { width = 150, height = 22, label }) {
  const steps = ceiling.length;
  const x = Array.from({ length: steps + 1 }, (_, t) => round((t / steps) * width));
  const top = Math.max(1, ...ceiling);
  const y = (value) => round(height - (value / top) * (height - 1));
  let below = ceiling.map(() => 0);
  const shapes = layers.map(([key, values]) => {
    const above = values.map((value, t) => value + below[t]);
    const shape = svg("path", { class: `area ${key}`, d: stairs(x, y, above, below) });
    below = above;
    return shape;
  });
  return svg(
    "svg",
    {
      class: "strip",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": label,
      preserveAspectRatio: "none",
    },
    svg("path", { class: "strip-ceiling", d: stairs(x, y, ceiling, below) }),
    shapes,
  );
}
