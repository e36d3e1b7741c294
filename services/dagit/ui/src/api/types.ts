// The shapes of Dagit's HTTP API under the names that this page uses.
import type { components } from "../generated/api";

type Schemas = components["schemas"];

export type Config = Record<string, unknown>;
export type ErrorInfo = Schemas["ErrorInfo"];
export type Fault = Schemas["ErrorDetail"];
export type Info = Schemas["Info"];
export type Input = Schemas["NodeInput"];
export type Job = Schemas["Job"];
export type JobHead = Schemas["JobSummary"];
export type Launched = Schemas["Launched"];
export type LaunchRequest = Schemas["LaunchRequest"];
export type Location = Schemas["Location"];
export type LogLevel = Schemas["LogLevel"];
export type Metadata = Schemas["Metadata"];
export type Node = Schemas["Node"];
export type Output = Schemas["NodeOutput"];
export type Preset = Schemas["Preset"];
export type Preview = Schemas["Preview"];
export type Resource = Schemas["Resource"];
export type RequestedBy = Schemas["RequestedBy"];
export type Run = Schemas["Run"];
export type RunDetail = Schemas["RunDetail"];
export type RunPage = Schemas["Runs"];
export type RunStatus = Schemas["RunStatus"];
export type Schedule = Schemas["Schedule"];
export type StepRecord = Schemas["Step"];
export type StepStatus = Schemas["StepStatus"];
export type Tags = Record<string, string>;
export type Tick = Schemas["Tick"];
export type TickPage = Schemas["Ticks"];
export type Validation = Schemas["Validation"];
