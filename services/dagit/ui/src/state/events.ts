// The envelope of an event, and which types this page understands. Others are shown raw.
import type { components } from "../generated/api";

export interface Envelope {
  id: string;
  source: string;
  type: string;
  /** The run's or the schedule's id. */
  subject: string;
  time: string;
  data?: unknown;
  [attribute: string]: unknown;
}

export interface FeedItem {
  cursor: string;
  event: Envelope;
}

type KnownEvent = components["schemas"]["KnownEvent"];
export type EventType = KnownEvent["type"];
/** An event of one of these types, its payload typed. */
export type Known<T extends EventType = EventType> = Extract<KnownEvent, { type: T }>;

const TYPES: Record<EventType, true> = {
  "dagwire.data.asset_materialized": true,
  "dagwire.data.expectation_checked": true,
  "dagwire.data.input_loaded": true,
  "dagwire.data.output_produced": true,
  "dagwire.engine.noted": true,
  "dagwire.log.written": true,
  "dagwire.run.canceled": true,
  "dagwire.run.canceling": true,
  "dagwire.run.dropped": true,
  "dagwire.run.failed": true,
  "dagwire.run.launched": true,
  "dagwire.run.lost": true,
  "dagwire.run.planned": true,
  "dagwire.run.queued": true,
  "dagwire.run.started": true,
  "dagwire.run.succeeded": true,
  "dagwire.schedule.switched": true,
  "dagwire.step.failed": true,
  "dagwire.step.skipped": true,
  "dagwire.step.started": true,
  "dagwire.step.succeeded": true,
  "dagwire.step_worker.ended": true,
  "dagwire.step_worker.released": true,
  "dagwire.step_worker.requested": true,
  "dagwire.tick.failed": true,
  "dagwire.tick.requested": true,
  "dagwire.tick.skipped": true,
  "dagwire.worker.delayed": true,
};

/** Returns the event with its payload typed, or null for a type that this version does not know. */
export function known(event: Envelope): Known | null {
  const understood = Object.hasOwn(TYPES, event.type) && typeof event.data === "object" && event.data !== null;
  return understood ? (event as Known) : null;
}
