// Numbers and times as words. Pure.

/** A duration in seconds: `12 ms`, `3.4 s`, `2 m 05 s`, `1 h 03 m`. */
export function seconds(value: number): string {
  if (value < 0.0995) return `${Math.max(0, Math.round(value * 1000))} ms`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${pad(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86400)} d ${pad(Math.floor((whole % 86400) / 3600))} h`;
}

const pad = (value: number) => String(value).padStart(2, "0");

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Infinity],
];

/** A point in time seen from `now`: `just now`, `5 min. ago`, `in 2 hr.`. */
export function relative(at: number, now: number): string {
  let amount = (at - now) / 1000;
  if (Math.abs(amount) < 5) return "just now";
  for (const [unit, size] of UNITS) {
    if (Math.abs(amount) < size) return RELATIVE.format(Math.trunc(amount), unit);
    amount /= size;
  }
  return "";
}

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const DAY_AND_TIME = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** The time of day with milliseconds, in the reader's zone. */
export const clock = (at: number) => CLOCK.format(at);

/** Day and time in the reader's zone. */
export const dayAndTime = (at: number) => DAY_AND_TIME.format(at);

/** Day and time in a named zone, with its name; in UTC if the browser does not know it. */
export function inZone(at: number, timeZone: string): string {
  const parts: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  try {
    return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone, timeZoneName: "short" }).format(at);
  } catch {
    return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: "UTC", timeZoneName: "short" }).format(at);
  }
}

/** How a run's id is shown where space is short. */
export const shortId = (id: string) => id.slice(0, 8);

/** A count with its noun: `1 step`, `2 steps`. */
export const count = (value: number, noun: string) => `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;

/** Joins class names, leaving out what is off. */
export const cx = (...names: (string | false | null | undefined)[]) => names.filter(Boolean).join(" ");
