// How statuses look: a colour, an icon and a word, never a colour alone.
import type { Location, RunStatus, StepStatus, Tick } from "../api/types";
import { Icon, type IconName } from "./icons";

export type Tone = "green" | "red" | "blue" | "amber" | "grey";

export interface Look {
  tone: Tone;
  icon: IconName;
  label: string;
  spin?: boolean;
}

export type ShownRunStatus = RunStatus | "REQUESTED";
export type ShownStepStatus = StepStatus | "STOPPED";

export const RUN_LOOKS: Record<ShownRunStatus, Look> = {
  REQUESTED: { tone: "grey", icon: "dots", label: "Requested" },
  QUEUED: { tone: "amber", icon: "clock", label: "Queued" },
  STARTING: { tone: "blue", icon: "spinner", label: "Starting", spin: true },
  STARTED: { tone: "blue", icon: "spinner", label: "Running", spin: true },
  CANCELING: { tone: "amber", icon: "spinner", label: "Cancelling", spin: true },
  SUCCESS: { tone: "green", icon: "check", label: "Success" },
  FAILURE: { tone: "red", icon: "cross", label: "Failed" },
  CANCELED: { tone: "grey", icon: "ban", label: "Cancelled" },
};

export const STEP_LOOKS: Record<ShownStepStatus, Look> = {
  PENDING: { tone: "grey", icon: "dots", label: "Waiting" },
  RUNNING: { tone: "blue", icon: "spinner", label: "Running", spin: true },
  SUCCESS: { tone: "green", icon: "check", label: "Succeeded" },
  FAILURE: { tone: "red", icon: "cross", label: "Failed" },
  SKIPPED: { tone: "grey", icon: "skip", label: "Skipped" },
  STOPPED: { tone: "grey", icon: "ban", label: "Stopped" },
};

export const TICK_LOOKS: Record<Tick["status"], Look> = {
  REQUESTED: { tone: "green", icon: "check", label: "Requested" },
  SKIPPED: { tone: "grey", icon: "skip", label: "Skipped" },
  FAILED: { tone: "red", icon: "cross", label: "Failed" },
};

export const LOCATION_LOOKS: Record<Location["status"], Look> = {
  LOADED: { tone: "green", icon: "check", label: "Loaded" },
  FAILED: { tone: "red", icon: "cross", label: "Failed to load" },
  UNREACHABLE: { tone: "amber", icon: "alert", label: "Unreachable" },
  LOADING: { tone: "blue", icon: "spinner", label: "Loading", spin: true },
};

export function Pill({ look }: { look: Look }) {
  return (
    <span className={`pill tone-${look.tone}`}>
      <Icon name={look.icon} size={13} spin={look.spin ?? false} />
      {look.label}
    </span>
  );
}

/** The icon of a status in its colour, with its word for those who cannot see it. */
export function StatusIcon({ look, size = 15 }: { look: Look; size?: number }) {
  return (
    <span className={`status-icon tone-${look.tone}`} title={look.label}>
      <Icon name={look.icon} size={size} spin={look.spin ?? false} />
      <span className="visually-hidden">{look.label}</span>
    </span>
  );
}
