// Numbers and times as people read them. Rounded for the eye only: exact values stand in `<data value>`.

const digits = new Map();

function number(value, places) {
  if (!digits.has(places)) {
    digits.set(
      places,
      new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }),
    );
  }
  return digits
    .get(places)
    .format(Object.is(value, -0) ? 0 : value)
    .replace("-", "−");
}

export const count = (value) => number(value, 0);
export const mw = (watts, places = 1) => number(watts / 1e6, places);
export const exactMw = (watts) => number(watts / 1e6, 3);
export const usd = (value, places = 0) => {
  const text = number(Math.abs(value), places);
  return (value < 0 && /[1-9]/.test(text) ? "−$" : "$") + text;
};
export const price = (value, places = 2) => number(value, places);
export const percent = (share, places = 1) => `${number(share * 100, places)} %`;
export const fixed = number;
/** A difference, with its sign: `write` writes the figure. */
export const signed = (value, write) => {
  const text = write(value);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
};
export const hours = (seconds) => number(seconds / 3600, seconds % 3600 ? 1 : 0);

/** A gap in percent: two significant digits, never rounded to nothing. */
export function gapPercent(value) {
  if (value === 0) return "0 %";
  if (value < 0.001) return "< 0.001 %";
  return `${number(value, value < 0.01 ? 4 : value < 0.1 ? 3 : 2)} %`;
}

const SCALE = [
  [1e12, "T"],
  [1e9, "bn"],
  [1e6, "M"],
  [1e3, "k"],
];
export function short(value, places = 1) {
  const [unit, letter] = SCALE.find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  return letter ? `${number(value / unit, places)} ${letter}` : number(value, 0);
}

export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (minutes < 90) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 1440)} days`;
}

const clocks = new Map();

function clock(zone, kind) {
  const key = `${zone} ${kind}`;
  if (!clocks.has(key)) {
    const options = {
      time: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
      day: { weekday: "short", day: "numeric", month: "short" },
      zone: { timeZoneName: "short" },
      parts: {
        year: "numeric",
        month: "2-digit",
        day: "2-digit",
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
        hourCycle: "h23",
      },
    }[kind];
    clocks.set(key, new Intl.DateTimeFormat(kind === "zone" ? "en-US" : "en-GB", { ...options, timeZone: zone }));
  }
  return clocks.get(key);
}

export const time = (instant, zone) => clock(zone, "time").format(instant);
export const day = (instant, zone) => clock(zone, "day").format(instant).replace(",", "");
export const zoneName = (instant, zone) =>
  zone === "UTC"
    ? "UTC"
    : clock(zone, "zone")
        .formatToParts(instant)
        .find((part) => part.type === "timeZoneName").value;

/** Wall clock of an instant in a zone, as numbers. */
export function wall(instant, zone) {
  const parts = Object.fromEntries(
    clock(zone, "parts")
      .formatToParts(instant)
      .map((part) => [part.type, Number(part.value)]),
  );
  return { year: parts.year, month: parts.month, day: parts.day, hour: parts.hour, minute: parts.minute };
}

/** `2026-11-22T09:00` in a zone: what a datetime-local field holds. */
export function localInput(instant, zone) {
  const w = wall(instant, zone);
  const two = (n) => String(n).padStart(2, "0");
  return `${w.year}-${two(w.month)}-${two(w.day)}T${two(w.hour)}:${two(w.minute)}`;
}

/** The instant at which a wall clock in a zone shows `2026-11-22T09:00`; the earlier one where an hour comes twice. */
export function fromLocalInput(text, zone) {
  const naive = new Date(`${text}:00Z`);
  if (Number.isNaN(naive.getTime())) return null;
  for (const hours of [-26, 26]) {
    // the offset in force before, then after, any change near by
    const guess = naive.getTime() + hours * 3.6e6;
    const offset = new Date(`${localInput(new Date(guess), zone)}:00Z`).getTime() - guess;
    const candidate = new Date(naive.getTime() - offset);
    if (localInput(candidate, zone) === text) return candidate;
  }
  return null; // a wall-clock time that a change of the clocks left out
}
