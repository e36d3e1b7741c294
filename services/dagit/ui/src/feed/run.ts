// Follows one run for as long as its page is open. The last few runs are kept, so going back shows them at once.
import { useEffect, useMemo } from "react";
import { applyAll, emptyRun, type RunState } from "../state/run";
import { feedUrl, useFeed, useStore } from "./global";
import { follow } from "./follow";
import { whenConnected } from "./slots";
import { createStore, type Store } from "./store";

const KEPT = 4;
const kept = new Map<string, Store<RunState>>();

/** Returns what is known about a run, live. */
export function useRunFeed(id: string): RunState {
  const feed = useFeed();
  const store = useMemo(() => storeOf(id), [id]);
  useEffect(() => {
    feed.aside.set(true);
    const following = follow(
      { url: feedUrl(id), after: store.get().cursor },
      {
        onItems: (items) => {
          store.set(applyAll(store.get(), items));
        },
        onStatus: (status, reason) => {
          feed.connection.set({ status, reason, retry: () => following.retry() });
        },
      },
    );
    const leave = whenConnected((may) => {
      following.pause(!may);
    });
    return () => {
      leave();
      following.close();
      feed.aside.set(false);
    };
  }, [feed, id, store]);
  return useStore(store);
}

function storeOf(id: string): Store<RunState> {
  const store = kept.get(id) ?? createStore(emptyRun(id));
  kept.delete(id);
  kept.set(id, store);
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(oldest);
  }
  return store;
}
