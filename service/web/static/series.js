// The series of the chart, in drawing order from the bottom: what is never shed first, what absorbs shocks last.

export const LAYERS = [
  { key: "inference", name: "Inference", hint: "GPU nodes that serve or load", of: (power) => power.inference_w },
  {
    key: "standby",
    name: "Sleep and base load",
    hint: "sleeping miners, site base load",
    of: (power) => power.standby_w,
  },
  { key: "eco", name: "Hashing, eco", hint: "miners below their normal mode", of: (power) => power.hashing_w.eco },
  {
    key: "normal",
    name: "Hashing, normal",
    hint: "miners in their normal mode",
    of: (power) => power.hashing_w.normal,
  },
  {
    key: "turbo",
    name: "Hashing, turbo",
    hint: "miners above their normal mode",
    of: (power) => power.hashing_w.turbo,
  },
];

export const hashingW = (power, t) => power.hashing_w.eco[t] + power.hashing_w.normal[t] + power.hashing_w.turbo[t];

/** Start of each step and end of the last, in ms since 1970. */
export function edges(plan) {
  const starts = plan.starts.map((start) => Date.parse(start));
  return [...starts, starts.at(-1) + plan.step_s.at(-1) * 1000];
}

/** Integral of a rate per hour over the horizon: MW to MWh, PH/s to PH/s hours. */
export const overHours = (values, stepS) => values.reduce((sum, value, t) => sum + (value * stepS[t]) / 3600, 0);

/** The step that holds an instant: the first if it lies before, the last if after. */
export function stepAt(plan, instantMs) {
  const bounds = edges(plan);
  const found = bounds.findIndex((edge, t) => t > 0 && instantMs < edge);
  return found < 0 ? plan.starts.length - 1 : found - 1;
}
