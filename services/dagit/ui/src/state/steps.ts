// What events say about the steps of a run. Pure.
import type { ErrorInfo, StepRecord, StepStatus } from "../api/types";
import { known, type Envelope, type Known } from "./events";

export interface Step {
  key: string;
  dependsOn: readonly string[];
  status: StepStatus;
  /** Milliseconds since 1970; null while it has not happened. */
  startedAt: number | null;
  endedAt: number | null;
  reason: string | null;
  error: ErrorInfo | null;
}

/** By key, in the order of the plan. */
export type Steps = ReadonlyMap<string, Step>;

type StepEvent = Known<
  "dagwire.step.started" | "dagwire.step.succeeded" | "dagwire.step.failed" | "dagwire.step.skipped"
>;

/** Returns the steps after one more event; the same map if it changes none. */
export function applySteps(steps: Steps, envelope: Envelope): Steps {
  const event = known(envelope);
  switch (event?.type) {
    case "dagwire.run.planned":
      return planned(steps, event);
    case "dagwire.step.started":
    case "dagwire.step.succeeded":
    case "dagwire.step.failed":
    case "dagwire.step.skipped":
      return new Map(steps).set(event.data.step_key, changed(stepOf(steps, event.data.step_key), event));
    default:
      return steps;
  }
}

function planned(steps: Steps, event: Known<"dagwire.run.planned">): Steps {
  const next = new Map<string, Step>();
  for (const { key, depends_on } of event.data.steps) {
    next.set(key, { ...stepOf(steps, key), dependsOn: depends_on ?? [] });
  }
  for (const [key, step] of steps) if (!next.has(key)) next.set(key, step);
  return next;
}

function stepOf(steps: Steps, key: string): Step {
  const fresh: Step = {
    key,
    dependsOn: [],
    status: "PENDING",
    startedAt: null,
    endedAt: null,
    reason: null,
    error: null,
  };
  return steps.get(key) ?? fresh;
}

function changed(step: Step, event: StepEvent): Step {
  const at = Date.parse(event.time);
  switch (event.type) {
    case "dagwire.step.started":
      return step.endedAt === null ? { ...step, status: "RUNNING", startedAt: at } : { ...step, startedAt: at };
    case "dagwire.step.succeeded":
      return { ...step, status: "SUCCESS", endedAt: at };
    case "dagwire.step.failed":
      return { ...step, status: "FAILURE", endedAt: at, error: event.data.error };
    case "dagwire.step.skipped":
      return { ...step, status: "SKIPPED", endedAt: at, reason: event.data.reason };
  }
}

/** Returns the steps as Dagit has stored them, for a run whose events are gone. */
export function stepsOf(records: readonly StepRecord[]): Steps {
  const at = (time: string | null) => (time === null ? null : Date.parse(time));
  return new Map(
    records.map(({ key, depends_on, status, started_at, ended_at, reason, error }) => [
      key,
      { key, dependsOn: depends_on, status, startedAt: at(started_at), endedAt: at(ended_at), reason, error },
    ]),
  );
}
