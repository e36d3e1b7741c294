// One function per call of Dagit's HTTP API. Decides nothing; failures become ApiError with words for people.
import type { Key } from "../config/intent";
import type {
  Fault,
  Info,
  Job,
  JobHead,
  LaunchRequest,
  Preview,
  Launched,
  Location,
  Run,
  RunDetail,
  RunPage,
  Schedule,
  TickPage,
  Validation,
  Config,
} from "./types";

const BASE = "/api/v1";

export interface JobAddress {
  location: string;
  repository: string;
  job: string;
}

export interface ScheduleAddress {
  location: string;
  repository: string;
  name: string;
}

/** What a failed call tells: `status` 0 means that Dagit did not answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: unknown[];

  constructor(status: number, code: string, message: string, details: unknown[] = []) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.details = details;
  }

  /** The config faults that a refused launch names. */
  get faults(): Fault[] {
    return this.details.filter(isFault);
  }
}

function isFault(value: unknown): value is Fault {
  return (
    typeof value === "object" && value !== null && "path" in value && Array.isArray(value.path) && "message" in value
  );
}

async function failure(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  if (typeof body === "object" && body !== null && "message" in body && typeof body.message === "string") {
    const code = "code" in body && typeof body.code === "string" ? body.code : String(response.status);
    const details = "details" in body && Array.isArray(body.details) ? (body.details as unknown[]) : [];
    return new ApiError(response.status, code, body.message, details);
  }
  return new ApiError(
    response.status,
    String(response.status),
    `Dagit answered ${response.status} ${response.statusText}`,
  );
}

async function call<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(BASE + path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(
      0,
      "unreachable",
      "Dagit does not answer. Check that it is running and that this machine can reach it.",
    );
  }
  if (!response.ok) throw await failure(response);
  return (await response.json()) as T;
}

function post<T>(path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Dagwire-Client": "ui", ...headers },
  };
  return call(path, signal ? { ...init, signal } : init);
}

const get = <T>(path: string, signal?: AbortSignal) => call<T>(path, signal ? { signal } : {});

/** Returns a URL path of escaped segments. */
export function path(...segments: string[]): string {
  return segments.map((segment) => "/" + encodeURIComponent(segment)).join("");
}

const jobPath = (at: JobAddress) => "/jobs" + path(at.location, at.repository, at.job);
const schedulePath = (at: ScheduleAddress) => "/schedules" + path(at.location, at.repository, at.name);

export const api = {
  info: (signal?: AbortSignal) => get<Info>("/info", signal),
  locations: (signal?: AbortSignal) => get<Location[]>("/locations", signal),
  jobs: (signal?: AbortSignal) => get<JobHead[]>("/jobs", signal),
  job: (at: JobAddress, signal?: AbortSignal) => get<Job>(jobPath(at), signal),
  validate: (at: JobAddress, run_config: Config, signal?: AbortSignal) =>
    post<Validation>(jobPath(at) + "/validate", { run_config }, {}, signal),
  launch: (request: LaunchRequest, key: Key) =>
    post<Launched>("/runs", request, { "Idempotency-Key": key.value, "Idempotency-Key-Time": key.madeAt }),
  runs: (query: URLSearchParams, signal?: AbortSignal) => get<RunPage>(`/runs?${query.toString()}`, signal),
  run: (id: string, signal?: AbortSignal) => get<RunDetail>("/runs" + path(id), signal),
  cancel: (id: string) => post<Pick<Run, "run_id">>("/runs" + path(id) + "/cancel", {}),
  schedules: (signal?: AbortSignal) => get<Schedule[]>("/schedules", signal),
  switchSchedule: (at: ScheduleAddress, on: boolean) =>
    post<Schedule>(schedulePath(at) + (on ? "/start" : "/stop"), {}),
  ticks: (at: ScheduleAddress, before: string | null, signal?: AbortSignal) =>
    get<TickPage>(`${schedulePath(at)}/ticks?limit=50${before ? `&before=${encodeURIComponent(before)}` : ""}`, signal),
  preview: (at: ScheduleAddress, signal?: AbortSignal) => get<Preview>(schedulePath(at) + "/preview?count=5", signal),
};
