// What events say about a run as a whole: one line of a list, the header of a page. Pure.
import type { Config, ErrorInfo, Run, RunStatus } from "../api/types";
import { known, type Envelope, type Known } from "./events";

/** As much of a run as is known so far. */
export interface Head extends Partial<Run> {
  run_id: string;
  run_config?: Config;
  resolved_config?: Config | null;
  executor?: string | null;
  error?: ErrorInfo | null;
  /** The last lines of a worker that was lost. */
  output?: string;
  /** Why its worker does not come to run, as long as it has not. */
  delay?: string;
  seconds?: number;
}

const RANK: Record<RunStatus, number> = {
  QUEUED: 0,
  STARTING: 1,
  STARTED: 2,
  CANCELING: 3,
  SUCCESS: 4,
  FAILURE: 4,
  CANCELED: 4,
};

/** Whether a run with this status has ended for good. */
export function ended(status: RunStatus | undefined): boolean {
  return status !== undefined && RANK[status] === 4;
}

/** Returns the run after one more event. The first terminal event wins; nothing goes backwards. */
export function applyHead(head: Head, event: Envelope): Head {
  const understood = known(event);
  if (understood?.type === "dagwire.worker.delayed" && !understood.data.step_key)
    return { ...head, delay: understood.data.message };
  const change = changeOf(event);
  return change === null ? head : merge(head, change);
}

/** Lays newer or older knowledge over a run: the further status wins, empty fields are filled. */
export function merge<T extends Partial<Head>>(run: T, change: Partial<Head>): T {
  const forward = rank(change.status) > rank(run.status);
  const closed = ended(run.status);
  const merged: Record<string, unknown> = { ...run };
  for (const [field, value] of Object.entries(change)) {
    const fill = merged[field] === undefined || merged[field] === null;
    const outcome = OUTCOME.has(field);
    if (outcome ? forward || (fill && !closed) : fill) merged[field] = value;
  }
  return merged as T;
}

/** Fields that belong to the status: they change with it or not at all. */
const OUTCOME = new Set(["status", "cause", "message", "error", "ended_at", "output", "seconds"]);

function rank(status: RunStatus | undefined): number {
  return status === undefined ? -1 : RANK[status];
}

function changeOf(envelope: Envelope): Partial<Head> | null {
  const event = known(envelope);
  if (event === null) return null;
  switch (event.type) {
    case "dagwire.run.queued":
      return queued(event);
    case "dagwire.run.launched":
      return { status: "STARTING", launched_at: event.time };
    case "dagwire.run.started":
      return { status: "STARTED", started_at: event.time };
    case "dagwire.run.planned":
      return { executor: event.data.executor, resolved_config: event.data.run_config ?? {} };
    case "dagwire.run.canceling":
      return { status: "CANCELING" };
    default:
      return outcome(event);
  }
}

function queued(event: Known<"dagwire.run.queued">): Partial<Head> {
  const { key, location, repository, job, preset, tags, requested_by, requested_at, run_config } = event.data;
  const request = { key, location, repository, job, preset, tags: tags ?? {}, requested_by, requested_at };
  return { ...request, status: "QUEUED", queued_at: event.time, run_config: run_config ?? {} };
}

function outcome(event: Known): Partial<Head> | null {
  const ended_at = event.time;
  switch (event.type) {
    case "dagwire.run.succeeded":
      return { status: "SUCCESS", ended_at, seconds: event.data.seconds };
    case "dagwire.run.failed": {
      const { cause, message, error, seconds } = event.data;
      return { status: "FAILURE", ended_at, cause, message, error, seconds };
    }
    case "dagwire.run.lost": {
      const { cause, message, error, output } = event.data;
      return { status: "FAILURE", ended_at, cause, message, error, output };
    }
    case "dagwire.run.canceled":
      return { status: "CANCELED", ended_at, message: event.data.message, seconds: event.data.seconds };
    case "dagwire.run.dropped":
      return { status: "CANCELED", ended_at, message: dropped(event) };
    default:
      return null;
  }
}

function dropped(event: Known<"dagwire.run.dropped">): string {
  return event.data.forced ? "Its worker did not stop in time and was ended." : "Cancelled before a worker took it.";
}
