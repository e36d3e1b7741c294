// Times that keep themselves up to date: all of a page share one clock, which runs only while somebody looks.
import { useSyncExternalStore } from "react";
import { dayAndTime, relative, seconds } from "./format";

function createClock(everyMs: number) {
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const tick = () => {
    now = Date.now();
    for (const listener of listeners) listener();
  };
  return {
    get: () => now,
    subscribe: (listener: () => void) => {
      listeners.add(listener);
      if (timer === undefined) {
        now = Date.now();
        timer = setInterval(tick, everyMs);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}

const slow = createClock(1000);
const fast = createClock(100);
const stopped = { get: () => 0, subscribe: () => () => undefined };

/** The time, about once a second. */
export const useNow = () => useSyncExternalStore(slow.subscribe, slow.get);

/** The time, ten times a second while `running`. */
export function useFastNow(running: boolean): number {
  const clock = running ? fast : stopped;
  return useSyncExternalStore(clock.subscribe, clock.get);
}

/** A point in time as seen from now; the exact time on hovering. */
export function Ago({ at }: { at: string | number }) {
  const now = useNow();
  const time = typeof at === "number" ? at : Date.parse(at);
  return (
    <time dateTime={new Date(time).toISOString()} title={dayAndTime(time)} className="nowrap">
      {relative(time, now)}
    </time>
  );
}

/** How long something took, or takes already. */
export function Elapsed({ from, to }: { from: string | null | undefined; to: string | null | undefined }) {
  const now = useFastNow(Boolean(from) && !to);
  if (!from) return <span className="muted">–</span>;
  const end = to ? Date.parse(to) : now;
  return <span className="nowrap tabular">{seconds(Math.max(0, end - Date.parse(from)) / 1000)}</span>;
}
