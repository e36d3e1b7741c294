// Events for tests, as the feed delivers them.
import type { EventType, FeedItem, Known } from "../state/events";

export const RUN = "aaaaaaaa-0000-5000-8000-000000000001";
export const START = Date.parse("2026-01-01T00:00:00Z");

type DataOf<T extends EventType> = Known<T>["data"];

/** Makes one feed after another: cursors and times go on by one and by a second. */
export function feedOf(run = RUN) {
  let n = 0;
  const item = (type: string, data: unknown, subject = run): FeedItem => {
    n += 1;
    const time = new Date(START + n * 1000).toISOString();
    return { cursor: `1-${n}`, event: { id: `${run}:1:${n}`, source: "/test", type, subject, time, data } };
  };
  const known = <T extends EventType>(type: T, data: DataOf<T>, subject = run) => item(type, data, subject);
  return {
    item,
    known,
    queued: (more: Partial<DataOf<"dagwire.run.queued">> = {}) =>
      known("dagwire.run.queued", {
        key: "k",
        location: "weather",
        repository: "main",
        job: "report",
        preset: null,
        run_config: {},
        tags: {},
        requested_by: { kind: "ui", name: null },
        requested_at: "2026-01-01T00:00:00Z",
        origin: { image: null, definitions_hash: null },
        priority: 0,
        ...more,
      }),
    launched: () => known("dagwire.run.launched", { backend: "process", worker: "1" }),
    started: () => known("dagwire.run.started", { worker: "w", host: "h", pid: 1 }),
    planned: (...steps: [string, ...string[]][]) =>
      known("dagwire.run.planned", {
        executor: "in_process",
        run_config: { ops: {} },
        definitions_hash: null,
        steps: steps.map(([key, ...depends_on]) => ({ key, depends_on })),
      }),
    stepStarted: (step_key: string) => known("dagwire.step.started", { step_key, pid: 1 }),
    stepSucceeded: (step_key: string) => known("dagwire.step.succeeded", { step_key, seconds: 1 }),
    stepFailed: (step_key: string) =>
      known("dagwire.step.failed", {
        step_key,
        seconds: 1,
        cause: null,
        error: { type: "ValueError", message: "no", stack: [], cause: null },
      }),
    log: (message: string, more: Partial<DataOf<"dagwire.log.written">> = {}) =>
      known("dagwire.log.written", { level: "INFO", message, stream: "log", logger: null, step_key: null, ...more }),
    succeeded: () => known("dagwire.run.succeeded", { seconds: 3 }),
    lost: (message: string) =>
      known("dagwire.run.lost", { cause: "worker_lost", message, error: null, output: "Killed" }),
  };
}
