// Where the bars of a run's steps lie on a common axis of time. Pure.
import type { Step } from "./steps";

export interface Bar {
  /** Parts of the whole, 0 to 1. */
  from: number;
  width: number;
  ms: number;
}

/** So that the shortest step can be seen and hit. */
const THINNEST = 0.006;

/** Returns a bar for each step that has started, how many milliseconds the axis spans, and how many passed before it.
 *
 * The axis begins with the first step: the time to load the code is often longer than all steps together.
 */
export function steps(all: readonly Step[], startedAt: number | null, endedAt: number | null, now: number) {
  const starts = all.flatMap(({ startedAt: at }) => (at === null ? [] : [at]));
  const ends = all.flatMap(({ endedAt: at, startedAt: from }) => (at === null || from === null ? [] : [at]));
  const begin = Math.min(...starts);
  const open = all.some((step) => step.startedAt !== null && step.endedAt === null);
  const last = Math.max(...(open || ends.length === 0 ? [endedAt ?? now] : []), ...ends);
  const before = startedAt === null || starts.length === 0 ? 0 : Math.max(0, begin - startedAt);
  const total = Number.isFinite(begin) ? Math.max(last - begin, 1) : 1;
  const bars = all.map((step): Bar | null => {
    if (step.startedAt === null) return null;
    const ms = Math.max(0, (step.endedAt ?? last) - step.startedAt);
    const width = Math.max(THINNEST, ms / total);
    return { from: Math.min((step.startedAt - begin) / total, 1 - width), width, ms };
  });
  return { bars, total, before };
}
