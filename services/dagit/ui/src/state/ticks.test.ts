import { expect, test } from "vitest";
import type { Schedule, Tick } from "../api/types";
import { feedOf } from "../testing/events";
import { applyTicks, withLastTick, withTicks } from "./ticks";

const ID = "cccccccc-0000-5000-8000-000000000001";
const of = { location: "weather", repository: "main", schedule: "daily" };
const tick = (nominal_time: string, more: Partial<Tick> = {}): Tick => ({
  nominal_time,
  status: "REQUESTED",
  run_ids: [],
  reason: null,
  missed: false,
  error: null,
  ...more,
});

test("ticks are told by events, newest first, each nominal time once", () => {
  const feed = feedOf(ID);
  const skipped = feed.known("dagwire.tick.skipped", {
    ...of,
    nominal_time: "2026-01-01T06:00:00Z",
    reason: "no data",
    missed: true,
  });
  const requested = feed.known("dagwire.tick.requested", {
    ...of,
    nominal_time: "2026-01-02T06:00:00Z",
    run_ids: ["r"],
  });
  const news = applyTicks(new Map(), [skipped, requested, requested]);
  expect(news.get(ID)).toEqual([
    tick("2026-01-02T06:00:00Z", { run_ids: ["r"] }),
    tick("2026-01-01T06:00:00Z", { status: "SKIPPED", reason: "no data", missed: true }),
  ]);
});

test("other events leave the very same map", () => {
  const news = applyTicks(new Map(), []);
  expect(applyTicks(news, [feedOf().queued()])).toBe(news);
});

test("the same instant written in two ways is one tick", () => {
  expect(withTicks([tick("2026-01-01T06:00:00Z")], [tick("2026-01-01T06:00:00+00:00")])).toHaveLength(1);
});

test("a schedule's last tick is the newest of what Dagit and the feed know", () => {
  const schedule = { schedule_id: ID, last_tick: tick("2026-01-03T06:00:00Z") } as Schedule;
  const failed = feedOf(ID).known("dagwire.tick.failed", {
    ...of,
    nominal_time: "2026-01-04T06:00:00Z",
    error: { type: "E", message: "", stack: [], cause: null },
  });
  expect(withLastTick(schedule, applyTicks(new Map(), [failed])).last_tick?.status).toBe("FAILED");
  expect(withLastTick(schedule, new Map())).toBe(schedule);
});
