import { expect, test } from "vitest";
import { feedOf, RUN, START } from "../testing/events";
import { apply, applyAll, emptyRun } from "./run";

const begin = emptyRun(RUN);

test("a run goes from requested to success, and every event is in its log", () => {
  const feed = feedOf();
  const statuses = [];
  let state = begin;
  for (const item of [feed.queued(), feed.launched(), feed.started(), feed.planned(["a"]), feed.succeeded()]) {
    state = apply(state, item);
    statuses.push(state.head.status);
  }
  expect(begin.head.status).toBeUndefined();
  expect(statuses).toEqual(["QUEUED", "STARTING", "STARTED", "STARTED", "SUCCESS"]);
  expect(state.log.length).toBe(5);
  expect(state.cursor).toBe("1-5");
  expect(state.head).toMatchObject({ job: "report", executor: "in_process", seconds: 3 });
});

test("events one by one and all at once give the same state", () => {
  const feed = feedOf();
  const items = [
    feed.queued(),
    feed.planned(["a"], ["b", "a"]),
    feed.stepStarted("a"),
    feed.log("x"),
    feed.lost("gone"),
  ];
  const single = items.reduce(apply, begin);
  const batch = applyAll(begin, items);
  expect(batch.head).toEqual(single.head);
  expect([...batch.steps]).toEqual([...single.steps]);
  expect(batch.log.counts).toEqual(single.log.counts);
});

test("the first terminal event wins, and nothing opens a run again", () => {
  const feed = feedOf();
  const state = applyAll(begin, [feed.queued(), feed.lost("its worker is gone"), feed.succeeded(), feed.started()]);
  expect(state.head.status).toBe("FAILURE");
  expect(state.head.message).toBe("its worker is gone");
  expect(state.head.ended_at).toBe(new Date(START + 2000).toISOString());
});

test("why a worker does not run is told with the latest word", () => {
  const feed = feedOf();
  const delayed = (message: string, step_key: string | null = null) =>
    feed.known("dagwire.worker.delayed", { cause: "unschedulable", message, step_key });
  const state = applyAll(begin, [feed.queued(), feed.launched(), delayed("no CPU"), delayed("no GPU")]);
  expect(state.head).toMatchObject({ status: "STARTING", delay: "no GPU" });
  expect(applyAll(begin, [delayed("no GPU"), feed.queued()]).head).toMatchObject({ status: "QUEUED", delay: "no GPU" });
  expect(applyAll(begin, [feed.queued(), delayed("no GPU", "load")]).head.delay).toBeUndefined();
});

test("a lost run shows its cause and what its worker wrote last", () => {
  const state = applyAll(begin, [feedOf().lost("out of memory")]);
  expect(state.head).toMatchObject({ cause: "worker_lost", output: "Killed" });
});

test("steps keep the order of the plan, whatever runs first", () => {
  const feed = feedOf();
  const state = applyAll(begin, [
    feed.stepStarted("b"),
    feed.planned(["a"], ["b", "a"]),
    feed.stepStarted("a"),
    feed.stepSucceeded("a"),
    feed.stepFailed("b"),
  ]);
  expect([...state.steps.keys()]).toEqual(["a", "b"]);
  expect(state.steps.get("a")).toMatchObject({ status: "SUCCESS", startedAt: START + 3000, endedAt: START + 4000 });
  expect(state.steps.get("b")).toMatchObject({ status: "FAILURE", dependsOn: ["a"], error: { type: "ValueError" } });
});

test("events of other runs change nothing but the cursor", () => {
  const feed = feedOf();
  const own = feed.queued();
  const other = feed.known("dagwire.run.succeeded", { seconds: 1 }, "bbbbbbbb-0000-5000-8000-000000000001");
  const state = applyAll(begin, [own, other]);
  expect(state.head.status).toBe("QUEUED");
  expect(state.log.length).toBe(1);
  expect(state.cursor).toBe("1-2");
});

test("an event of an unknown type is in the log as it came, and harms nothing", () => {
  const item = feedOf().item("dagwire.future.thing", { step_key: "a", size: 42 });
  const state = apply(begin, item);
  expect(state.head.status).toBeUndefined();
  expect(state.log.at(0)).toMatchObject({
    label: "dagwire.future.thing",
    step: "a",
    text: '{"step_key":"a","size":42}',
  });
});

test("a known type without its payload is shown like an unknown one", () => {
  const state = apply(begin, feedOf().item("dagwire.run.failed", null));
  expect(state.head.status).toBeUndefined();
  expect(state.log.at(0)?.label).toBe("dagwire.run.failed");
});
