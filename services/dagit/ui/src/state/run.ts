// Everything a run's page shows, as a function of its events. Pure.
import { applyHead, type Head } from "./head";
import type { FeedItem } from "./events";
import { Log } from "./log";
import { applySteps, type Steps } from "./steps";

export interface RunState {
  head: Head;
  steps: Steps;
  log: Log;
  /** Where to go on reading; null before the first event. */
  cursor: string | null;
}

/** A run of which nothing is known but its id: requested, perhaps. */
export function emptyRun(run_id: string): RunState {
  return { head: { run_id }, steps: new Map(), log: Log.empty, cursor: null };
}

/** Returns the state after one more event. */
export function apply(state: RunState, item: FeedItem): RunState {
  return applyAll(state, [item]);
}

/** Returns the state after several events, at the cost of one. Events of other runs are none of it. */
export function applyAll(state: RunState, items: readonly FeedItem[]): RunState {
  const own = items.filter(({ event }) => event.subject === state.head.run_id);
  let { head, steps } = state;
  for (const { event } of own) {
    head = applyHead(head, event);
    steps = applySteps(steps, event);
  }
  return { head, steps, log: state.log.append(own), cursor: items.at(-1)?.cursor ?? state.cursor };
}
