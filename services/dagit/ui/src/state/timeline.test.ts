import { expect, test } from "vitest";
import type { Step } from "./steps";
import { steps } from "./timeline";

const step = (startedAt: number | null, endedAt: number | null): Step => ({
  key: "s",
  dependsOn: [],
  status: "RUNNING",
  startedAt,
  endedAt,
  reason: null,
  error: null,
});

test("bars lie where their steps ran, from the first step's start to the last one's end", () => {
  const { bars, total, before } = steps([step(1000, 2000), step(2000, 5000), step(null, null)], 400, 5500, 99_000);
  expect(before).toBe(600);
  expect(total).toBe(4000);
  expect(bars).toEqual([{ from: 0, width: 0.25, ms: 1000 }, { from: 0.25, width: 0.75, ms: 3000 }, null]);
});

test("a step that runs grows with the clock, and stops with its run", () => {
  expect(steps([step(1000, null)], 1000, null, 4000).bars[0]?.ms).toBe(3000);
  expect(steps([step(1000, null)], 1000, 2000, 9000).bars[0]?.ms).toBe(1000);
});

test("the shortest step can still be seen, and lies within the axis", () => {
  const bar = steps([step(0, 1_000_000), step(1_000_000, 1_000_000)], 0, 1_000_000, 0).bars[1];
  expect(bar?.width).toBeGreaterThan(0);
  expect((bar?.from ?? 0) + (bar?.width ?? 0)).toBeLessThanOrEqual(1);
});

test("without a step there is no axis to divide by zero", () => {
  expect(steps([], null, null, 5)).toEqual({ bars: [], total: 1, before: 0 });
});
