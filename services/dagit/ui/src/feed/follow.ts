// One feed, followed for as long as it is wanted: reconnects with Last-Event-ID, hands over in batches.
import type { FeedItem } from "../state/events";
import { frames, type Frame } from "./frames";

/** What the reader of a feed should know about its connection. */
export type FeedStatus = "connecting" | "catching-up" | "live" | "reconnecting" | "paused";

export interface Handlers {
  onItems: (items: FeedItem[]) => void;
  /** `reason` says why Dagit refused, if it answered at all. */
  onStatus: (status: FeedStatus, reason: string | null) => void;
  /** A hint that has no place in history: `location` or `schedule`, with the whole object. */
  onHint?: (kind: Hint, value: unknown) => void;
}

export type Hint = "location" | "schedule";

export interface Following {
  /** Lets go of the connection, or takes it up again where it was left. */
  pause: (paused: boolean) => void;
  /** Connects at once instead of at the end of the wait. */
  retry: () => void;
  close: () => void;
}

export interface Options {
  url: string;
  /** The last cursor that is known; null: begin where the feed begins. */
  after: string | null;
  connect?: (url: string, init: RequestInit) => Promise<Response>;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
/** Dagit says something every 15 s; a connection that is silent for longer is dead. */
const SILENCE_MS = 40_000;
/** How long events are collected before they are handed over. */
const BATCH_MS = { "catching-up": 120, live: 25 };

/** Starts following. Every event arrives once: a new connection goes on after the last cursor seen. */
export function follow({ url, after, connect = fetch }: Options, handlers: Handlers): Following {
  const batches = batcher(handlers.onItems);
  let cursor = after;
  let failures = 0;
  let current: AbortController | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let paused = false;

  const stop = () => {
    clearTimeout(timer);
    current?.abort();
    current = null;
  };
  const start = () => {
    stop();
    const mine = new AbortController();
    current = mine;
    void session(mine).then((reason) => {
      if (mine.signal.aborted && current !== mine) return;
      stop();
      batches.flush();
      handlers.onStatus("reconnecting", reason);
      timer = setTimeout(start, Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS));
      failures += 1;
    });
  };
  /** Reads one connection to its end, and returns why it was refused. */
  const session = async (mine: AbortController): Promise<string | null> => {
    const alive = watchdog(() => mine.abort());
    try {
      const headers = { Accept: "text/event-stream", ...(cursor === null ? {} : { "Last-Event-ID": cursor }) };
      const response = await connect(url, { headers, signal: mine.signal, cache: "no-store" });
      if (!response.ok || response.body === null) return await refusal(response);
      failures = 0;
      batches.every(BATCH_MS["catching-up"]);
      handlers.onStatus("catching-up", null);
      for await (const piece of frames(response.body)) {
        if (mine.signal.aborted) break;
        alive.seen();
        for (const frame of piece) take(frame);
      }
    } catch {
      // The connection broke, or was let go: both are answered by the caller.
    } finally {
      alive.stop();
    }
    return null;
  };
  const take = ({ event, data }: Frame) => {
    if (event === "event") {
      const item = JSON.parse(data) as FeedItem;
      if (item.cursor === cursor) return;
      cursor = item.cursor;
      batches.add(item);
    } else if (event === "caught-up") {
      cursor = (JSON.parse(data) as { cursor: string | null }).cursor ?? cursor;
      batches.flush();
      batches.every(BATCH_MS.live);
      handlers.onStatus("live", null);
    } else if (event === "location" || event === "schedule") handlers.onHint?.(event, JSON.parse(data));
  };

  handlers.onStatus("connecting", null);
  start();
  return {
    pause(wanted) {
      if (wanted === paused) return;
      paused = wanted;
      handlers.onStatus(paused ? "paused" : "connecting", null);
      if (!paused) start();
      else {
        stop();
        batches.flush();
      }
    },
    retry: start,
    close() {
      stop();
      batches.drop();
    },
  };
}

async function refusal(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as { message?: unknown } | null;
  return typeof body?.message === "string" ? body.message : `Dagit answered ${response.status}.`;
}

/** Calls back when nothing was seen for too long. */
function watchdog(silent: () => void) {
  let timer = setTimeout(silent, SILENCE_MS);
  return {
    seen() {
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

/** Collects what arrives within a moment, so that a burst is drawn once. */
function batcher(deliver: (items: FeedItem[]) => void) {
  let items: FeedItem[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = 0;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (items.length === 0) return;
    const batch = items;
    items = [];
    deliver(batch);
  };
  return {
    every(ms: number) {
      pause = ms;
    },
    add(item: FeedItem) {
      items.push(item);
      timer ??= setTimeout(flush, pause);
    },
    flush,
    drop() {
      items = [];
      clearTimeout(timer);
    },
  };
}
