import { expect, test } from "vitest";
import { inZone, relative, seconds } from "./format";

test.each([
  [0, "0 ms"],
  [0.0124, "12 ms"],
  [0.0994, "99 ms"],
  [0.0996, "0.1 s"],
  [9.94, "9.9 s"],
  [9.96, "10 s"],
  [59.4, "59 s"],
  [59.6, "1 m 00 s"],
  [125, "2 m 05 s"],
  [3780, "1 h 03 m"],
  [90_000, "1 d 01 h"],
])("%d seconds are %s", (value, words) => {
  expect(seconds(value)).toBe(words);
});

test("times are told from now", () => {
  const now = Date.parse("2026-01-01T12:00:00Z");
  expect(relative(now - 2000, now)).toBe("just now");
  expect(relative(now - 61_000, now)).toBe("1 min. ago");
  expect(relative(now + 2 * 3_600_000, now)).toBe("in 2 hr.");
});

test("a zone that the browser does not know is shown in UTC, and says so", () => {
  const at = Date.parse("2026-01-01T12:00:00Z");
  expect(inZone(at, "America/New_York")).toMatch(/07:00/);
  expect(inZone(at, "Mars/Olympus")).toMatch(/12:00.*UTC/);
});
