import { expect, test } from "vitest";
import { feedOf } from "../testing/events";
import { extendMatches, LEVELS, Log, type LogFilter } from "./log";

const everything: LogFilter = { levels: new Set(LEVELS), step: null, text: "" };

test("appending leaves earlier versions as they were", () => {
  const feed = feedOf();
  const one = Log.empty.append([feed.log("one")]);
  const two = one.append([feed.log("two")]);
  const other = one.append([feed.log("other")]);
  expect([one.length, two.length, other.length]).toEqual([1, 2, 2]);
  expect([one.at(1), two.at(1)?.text, other.at(1)?.text]).toEqual([undefined, "two", "other"]);
  expect(Log.empty.length).toBe(0);
});

test("failures count as errors, other facts as events, lines by their level", () => {
  const feed = feedOf();
  const log = Log.empty.append([
    feed.queued(),
    feed.stepFailed("a"),
    feed.log("x", { level: "WARNING" }),
    feed.lost("y"),
  ]);
  expect(log.counts).toEqual({ EVENT: 1, ERROR: 2, WARNING: 1 });
});

test("every word must occur, in any case, in the line, the step or what it is", () => {
  const feed = feedOf();
  const log = Log.empty.append([
    feed.log("Read 12 rows", { step_key: "load" }),
    feed.log("Wrote 12 rows"),
    feed.stepStarted("load"),
  ]);
  const found = (text: string) => extendMatches(null, log, { ...everything, text }).indices;
  expect(found("ROWS read")).toEqual([0]);
  expect(found("load")).toEqual([0, 2]);
  expect(found("started")).toEqual([2]);
  expect(found("nothing")).toEqual([]);
});

test("a step's log includes the steps inside it, and no step that only begins alike", () => {
  const feed = feedOf();
  const log = Log.empty.append(["a", "a.b", "ab"].map((step_key) => feed.log("x", { step_key })));
  expect(extendMatches(null, log, { ...everything, step: "a" }).indices).toEqual([0, 1]);
});

test("levels that are off are left out", () => {
  const feed = feedOf();
  const log = Log.empty.append([feed.log("x", { level: "DEBUG" }), feed.log("y"), feed.queued()]);
  expect(extendMatches(null, log, { ...everything, levels: new Set(["INFO"]) }).indices).toEqual([1]);
});

test("new lines are matched without looking at the old ones again", () => {
  const feed = feedOf();
  const filter = { ...everything, text: "x" };
  const log = Log.empty.append([feed.log("x"), feed.log("y")]);
  const first = extendMatches(null, log, filter);
  const grown = log.append([feed.log("x again")]);
  const second = extendMatches(first, grown, filter);
  expect(second.indices).toEqual([0, 2]);
  expect(first.indices).toEqual([0]);
  expect(extendMatches(second, grown, filter)).toBe(second);
});

test("another filter, or a log that begins anew, is looked at whole", () => {
  const feed = feedOf();
  const log = Log.empty.append([feed.log("x"), feed.log("y")]);
  const first = extendMatches(null, log, everything);
  expect(extendMatches(first, log, { ...everything, text: "y" }).indices).toEqual([1]);
  expect(extendMatches(first, Log.empty.append([feed.log("z")]), everything).indices).toEqual([0]);
});

test("fifty thousand lines are appended in batches and searched within a second", () => {
  const feed = feedOf();
  const began = performance.now();
  let log = Log.empty;
  for (let batch = 0; batch < 500; batch += 1) {
    log = log.append(Array.from({ length: 100 }, (_, line) => feed.log(`line ${batch * 100 + line} of the log`)));
  }
  const found = extendMatches(null, log, { ...everything, text: "line 49999" });
  expect(found.indices).toEqual([49_999]);
  expect(performance.now() - began).toBeLessThan(1000);
});
