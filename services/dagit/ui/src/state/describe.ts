// One line of words for each event type. Types that this version does not know keep their name.
import type { ErrorInfo } from "../api/types";
import { seconds } from "../ui/format";
import { known, type Envelope, type EventType, type Known } from "./events";
import type { Level } from "./log";

export interface Description {
  level: Level;
  step: string | null;
  label: string;
  text: string;
}

interface Words {
  label: string;
  text: string;
  level?: Level;
}
type Table = { [T in EventType]: (event: Known<T>) => Words };

const attempt = (number = 1) => (number > 1 ? `attempt ${number}` : "");
const brief = (error: ErrorInfo) => `${error.type}: ${error.message}`;

const TABLE: Table = {
  "dagwire.run.queued": ({ data }) => ({ label: "Queued", text: `${data.job} requested by ${who(data.requested_by)}` }),
  "dagwire.run.launched": ({ data }) => ({ label: "Launched", text: `${data.backend} worker ${data.worker}` }),
  "dagwire.run.started": ({ data }) => ({ label: "Started", text: `on ${data.host}, process ${data.pid}` }),
  "dagwire.run.planned": ({ data }) => ({
    label: "Planned",
    text: `${data.steps.length} ${data.steps.length === 1 ? "step" : "steps"}, ${data.executor} executor`,
  }),
  "dagwire.run.succeeded": ({ data }) => ({ label: "Succeeded", text: `in ${seconds(data.seconds)}` }),
  "dagwire.run.failed": ({ data }) => ({ label: "Failed", text: data.message, level: "ERROR" }),
  "dagwire.run.canceling": ({ data }) => ({ label: "Cancelling", text: `asked by ${who(data.requested_by)}` }),
  "dagwire.run.canceled": ({ data }) => ({ label: "Cancelled", text: data.message }),
  "dagwire.run.dropped": ({ data }) => ({
    label: "Cancelled",
    text: data.forced ? "the worker did not stop in time and was ended" : "before a worker took it",
  }),
  "dagwire.run.lost": ({ data }) => ({ label: "Lost", text: data.message, level: "ERROR" }),
  "dagwire.worker.delayed": ({ data }) => ({ label: "Worker delayed", text: data.message, level: "WARNING" }),
  "dagwire.step_worker.requested": ({ data }) => ({ label: "Worker requested", text: attempt(data.attempt) }),
  "dagwire.step_worker.released": ({ data }) => ({ label: "Worker released", text: attempt(data.attempt) }),
  "dagwire.step_worker.ended": ({ data }) => ({
    label: "Worker ended",
    text: data.worker + (data.message ? `: ${data.message}` : ""),
    ...(data.cause ? { level: "ERROR" as const } : {}),
  }),
  "dagwire.step.started": ({ data }) => ({ label: "Step started", text: `process ${data.pid}` }),
  "dagwire.step.succeeded": ({ data }) => ({ label: "Step succeeded", text: `in ${seconds(data.seconds)}` }),
  "dagwire.step.failed": ({ data }) => ({ label: "Step failed", text: brief(data.error), level: "ERROR" }),
  "dagwire.step.skipped": ({ data }) => ({ label: "Step skipped", text: data.reason }),
  "dagwire.data.input_loaded": ({ data }) => ({
    label: "Input",
    text: data.input + (data.upstream?.length ? ` from ${data.upstream.join(", ")}` : ""),
  }),
  "dagwire.data.output_produced": ({ data }) => ({ label: "Output", text: data.output }),
  "dagwire.data.asset_materialized": ({ data }) => ({
    label: "Materialized",
    text: data.asset_key.join(" / ") + (data.description ? ` – ${data.description}` : ""),
  }),
  "dagwire.data.expectation_checked": ({ data }) => ({
    label: data.success ? "Check passed" : "Check failed",
    text: data.label + (data.description ? ` – ${data.description}` : ""),
    ...(data.success ? {} : { level: "WARNING" as const }),
  }),
  "dagwire.log.written": ({ data }) => ({
    label: data.stream === "log" ? "" : data.stream,
    text: data.message,
    level: data.level,
  }),
  "dagwire.engine.noted": ({ data }) => ({ label: "Engine", text: data.message, level: data.level }),
  "dagwire.tick.requested": ({ data }) => ({ label: "Tick", text: data.schedule }),
  "dagwire.tick.skipped": ({ data }) => ({ label: "Tick skipped", text: data.reason }),
  "dagwire.tick.failed": ({ data }) => ({ label: "Tick failed", text: brief(data.error), level: "ERROR" }),
  "dagwire.schedule.switched": ({ data }) => ({
    label: "Switched",
    text: `${data.schedule} ${data.status} by ${data.by}`,
  }),
};

/** Returns level, step and words of an event. */
export function describe(event: Envelope): Description {
  const understood = known(event);
  if (understood === null) return { level: "EVENT", step: stepOf(event), label: event.type, text: raw(event.data) };
  const words = (TABLE[understood.type] as (event: Known) => Words)(understood);
  return { level: "EVENT", step: stepOf(event), ...words };
}

/** Names who asked for something. */
export function who(by: { kind: string; name: string | null }): string {
  if (by.kind === "schedule") return by.name ? `schedule ${by.name}` : "a schedule";
  const via = { ui: "Dagit", cli: "the command line", api: "the API", bus: "the bus" }[by.kind] ?? by.kind;
  return by.name ? `${by.name} (${via})` : via;
}

function stepOf({ data }: Envelope): string | null {
  const step = typeof data === "object" && data !== null && "step_key" in data ? data.step_key : null;
  return typeof step === "string" ? step : null;
}

function raw(data: unknown): string {
  return data === undefined ? "" : JSON.stringify(data);
}
