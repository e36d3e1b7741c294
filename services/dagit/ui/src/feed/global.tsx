// The tab's feed about all runs, ticks, schedules and locations. It is let go while a page follows one run,
// so that a tab never holds more than one connection.
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, use, useEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";
import { api } from "../api/client";
import { keys } from "../api/queries";
import type { Location, Schedule } from "../api/types";
import type { FeedItem } from "../state/events";
import { applyNews, type RunNews } from "../state/runs";
import { applyTicks, type TickNews } from "../state/ticks";
import { follow, type FeedStatus, type Following, type Hint } from "./follow";
import { whenConnected } from "./slots";
import { createStore, type Store } from "./store";

export interface Connection {
  status: FeedStatus;
  /** Why Dagit refuses; null: it does not answer at all. */
  reason: string | null;
  retry: () => void;
}

interface Feed {
  runs: Store<RunNews>;
  ticks: Store<TickNews>;
  /** Of whatever feed this tab follows now: this one, or that of a run. */
  connection: Store<Connection>;
  /** True while a page follows a run. */
  aside: Store<boolean>;
}

const idle: Connection = { status: "connecting", reason: null, retry: () => undefined };
const FeedContext = createContext<Feed | null>(null);

export function FeedProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const feed = useMemo<Feed>(
    () => ({
      runs: createStore<RunNews>(new Map()),
      ticks: createStore<TickNews>(new Map()),
      connection: createStore(idle),
      aside: createStore(false),
    }),
    [],
  );
  useEffect(() => run(feed, client), [feed, client]);
  return <FeedContext value={feed}>{children}</FeedContext>;
}

export function useFeed(): Feed {
  const feed = use(FeedContext);
  if (feed === null) throw new Error("useFeed outside of FeedProvider");
  return feed;
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get);
}

/** Starts the tab's feed. Returns its stop function. */
function run(feed: Feed, client: QueryClient): () => void {
  const stopping = new AbortController();
  let stop = () => stopping.abort();
  void beginning(stopping.signal).then((after) => {
    if (!stopping.signal.aborted) stop = start(feed, client, after);
  });
  return () => {
    stop();
  };
}

/** Some runs back: what lists may not hold yet is told again, and no event is missed in between. */
async function beginning(signal: AbortSignal): Promise<string | null> {
  const recent = await api.runs(new URLSearchParams({ limit: "25" }), signal).catch(() => null);
  return recent?.runs.at(-1)?.cursor ?? null;
}

function start(feed: Feed, client: QueryClient, after: string | null): () => void {
  let following: Following | null = null;
  let connections = 0;
  const onStatus = (status: FeedStatus, reason: string | null) => {
    if (feed.aside.get()) return;
    feed.connection.set({ status, reason, retry: () => following?.retry() });
    if (status !== "live") return;
    connections += 1;
    // Hints are not part of history, and a feed from "now" may begin after what the lists show.
    if (connections > 1 || after === null) refresh(client, after === null);
  };
  const onItems = (items: FeedItem[]) => {
    feed.runs.set(applyNews(feed.runs.get(), items));
    const ticks = applyTicks(feed.ticks.get(), items);
    const switched = items.some(({ event }) => event.type === "dagwire.schedule.switched");
    if (switched || ticks !== feed.ticks.get()) refreshSchedules.soon();
    feed.ticks.set(ticks);
  };
  const onHint = (kind: Hint, value: unknown) => {
    hinted(client, kind, value);
  };

  // Dagit knows the switches and computes the next tick; the last one is told by its event.
  const refreshSchedules = atMostEvery(2000, () => void client.invalidateQueries({ queryKey: keys.schedules }));
  let allowed = true;
  const update = () => following?.pause(!allowed || feed.aside.get());
  following = follow({ url: feedUrl(), after }, { onItems, onStatus, onHint });
  const unsubscribe = feed.aside.subscribe(update);
  const leave = whenConnected((may) => {
    allowed = may;
    update();
  });
  return () => {
    leave();
    unsubscribe();
    refreshSchedules.stop();
    following.close();
  };
}

/** Does something soon after it is asked for, and not more often than this. */
function atMostEvery(ms: number, act: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = 0;
  return {
    soon() {
      timer ??= setTimeout(
        () => {
          timer = undefined;
          last = Date.now();
          act();
        },
        Math.max(0, last + ms - Date.now()),
      );
    },
    stop: () => clearTimeout(timer),
  };
}

function refresh(client: QueryClient, runsToo: boolean) {
  for (const queryKey of [keys.locations, keys.jobs, keys.schedules]) void client.invalidateQueries({ queryKey });
  if (runsToo) void client.invalidateQueries({ queryKey: keys.runs });
  // What could not be loaded while Dagit was away.
  void client.refetchQueries({ predicate: ({ state }) => state.status === "error", type: "active" });
}

function hinted(client: QueryClient, kind: Hint, value: unknown) {
  if (kind === "schedule") {
    const schedule = value as Schedule;
    // An answer that is still on its way is older than the hint.
    void client.cancelQueries({ queryKey: keys.schedules });
    client.setQueryData<Schedule[]>(keys.schedules, (old) =>
      old?.map((one) => (one.schedule_id === schedule.schedule_id ? schedule : one)),
    );
    return;
  }
  const location = value as Location;
  void client.cancelQueries({ queryKey: keys.locations });
  client.setQueryData<Location[]>(keys.locations, (old) =>
    old?.some(({ name }) => name === location.name)
      ? old.map((one) => (one.name === location.name ? location : one))
      : [...(old ?? []), location],
  );
  // Definitions may be others now.
  for (const queryKey of [keys.jobs, keys.job, keys.schedules]) void client.invalidateQueries({ queryKey });
}

/** Returns the address of the live feed of one run, or of everything. */
export function feedUrl(run?: string): string {
  return "/api/v1/feed" + (run === undefined ? "" : `?run=${encodeURIComponent(run)}`);
}
