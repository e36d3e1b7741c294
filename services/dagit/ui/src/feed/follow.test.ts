import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FeedItem } from "../state/events";
import { feedOf } from "../testing/events";
import { follow, type FeedStatus, type Hint } from "./follow";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A Dagit whose connections the test holds. */
function dagit(after: string | null = null) {
  const connections: {
    lastEventId: string | null;
    send: (text: string) => Promise<void>;
    drop: () => Promise<void>;
  }[] = [];
  const cursors: string[] = [];
  const statuses: [FeedStatus, string | null][] = [];
  const hints: [Hint, unknown][] = [];
  let refusal: Response | null = null;
  const settle = () => vi.advanceTimersByTimeAsync(0);
  const connect = (_: string, init: RequestInit) => {
    if (refusal !== null) return Promise.resolve(refusal);
    let controller: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start(its) {
        controller = its;
      },
    });
    init.signal?.addEventListener("abort", () => controller.error(new Error("aborted")));
    connections.push({
      lastEventId: new Headers(init.headers).get("Last-Event-ID"),
      async send(text) {
        controller.enqueue(new TextEncoder().encode(text));
        await settle();
      },
      async drop() {
        controller.error(new Error("reset"));
        await settle();
      },
    });
    return Promise.resolve(new Response(body));
  };
  const following = follow(
    { url: "/feed", after, connect },
    {
      onItems: (items: FeedItem[]) => cursors.push(...items.map(({ cursor }) => cursor)),
      onStatus: (status, reason) => statuses.push([status, reason]),
      onHint: (kind, value) => hints.push([kind, value]),
    },
  );
  return {
    connections,
    cursors,
    statuses,
    hints,
    following,
    settle,
    last: () => {
      const connection = connections.at(-1);
      if (!connection) throw new Error("nobody connected");
      return connection;
    },
    refuse: (response: Response | null) => {
      refusal = response;
    },
  };
}

const feed = feedOf();
const frame = (item: FeedItem) => `event: event\nid: ${item.cursor}\ndata: ${JSON.stringify(item)}\n\n`;
const caughtUp = (cursor: string) => `event: caught-up\nid: ${cursor}\ndata: {"cursor":"${cursor}"}\n\n`;

test("history is delivered at once when it has caught up, and then it is live", async () => {
  const it = dagit();
  await it.settle();
  const [one, two] = [feed.log("1"), feed.log("2")];
  await it.last().send(frame(one) + frame(two) + caughtUp("1-99"));
  expect(it.cursors).toEqual([one.cursor, two.cursor]);
  expect(it.statuses.map(([status]) => status)).toEqual(["connecting", "catching-up", "live"]);
});

test("live events arrive within a blink, together", async () => {
  const it = dagit();
  await it.settle();
  await it.last().send(caughtUp("1-1"));
  const item = feed.log("x");
  await it.last().send(frame(item));
  expect(it.cursors).toEqual([]);
  await vi.advanceTimersByTimeAsync(30);
  expect(it.cursors).toEqual([item.cursor]);
});

test("after a loss it goes on from the last event, by Last-Event-ID", async () => {
  const it = dagit();
  await it.settle();
  expect(it.last().lastEventId).toBeNull();
  const item = feed.log("x");
  await it.last().send(frame(item));
  await it.last().drop();
  expect(it.cursors).toEqual([item.cursor]);
  expect(it.statuses.at(-1)).toEqual(["reconnecting", null]);
  await vi.advanceTimersByTimeAsync(300);
  expect(it.connections).toHaveLength(2);
  expect(it.last().lastEventId).toBe(item.cursor);
});

test("a feed that has only caught up is resumed from there, so nothing in between is missed", async () => {
  const it = dagit();
  await it.settle();
  await it.last().send(caughtUp("1-42"));
  await it.last().drop();
  await vi.advanceTimersByTimeAsync(300);
  expect(it.last().lastEventId).toBe("1-42");
});

test("it begins after a cursor that is known already", async () => {
  const it = dagit("1-5");
  await it.settle();
  expect(it.last().lastEventId).toBe("1-5");
});

test("the same event in a row is delivered once", async () => {
  const it = dagit();
  await it.settle();
  const item = feed.log("x");
  await it.last().send(frame(item) + frame(item) + caughtUp("1-99"));
  expect(it.cursors).toEqual([item.cursor]);
});

test("a connection that is silent for too long is replaced, one with keep-alives is not", async () => {
  const it = dagit();
  await it.settle();
  for (let minute = 0; minute < 4; minute += 1) {
    await vi.advanceTimersByTimeAsync(15_000);
    await it.last().send(": keep-alive\n\n");
  }
  expect(it.connections).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(41_000);
  expect(it.connections).toHaveLength(2);
});

test("a refusal is told in Dagit's words, and tried again ever more slowly", async () => {
  const it = dagit();
  it.refuse(Response.json({ code: "bus_unavailable", message: "The bus is away." }, { status: 503 }));
  await it.settle();
  await it.last().drop();
  await vi.advanceTimersByTimeAsync(260);
  expect(it.statuses.at(-1)).toEqual(["reconnecting", "The bus is away."]);
  it.refuse(null);
  await vi.advanceTimersByTimeAsync(520);
  expect(it.connections).toHaveLength(2);
  expect(it.statuses.at(-1)).toEqual(["catching-up", null]);
});

test("paused it holds no connection, and resumes without a gap", async () => {
  const it = dagit();
  await it.settle();
  const item = feed.log("x");
  await it.last().send(frame(item));
  it.following.pause(true);
  expect(it.cursors).toEqual([item.cursor]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(it.connections).toHaveLength(1);
  it.following.pause(false);
  await it.settle();
  expect(it.last().lastEventId).toBe(item.cursor);
  expect(it.statuses.at(-1)?.[0]).toBe("catching-up");
});

test("closed it delivers nothing more and does not come back", async () => {
  const it = dagit();
  await it.settle();
  await it.last().send(frame(feed.log("x")));
  it.following.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(it.cursors).toEqual([]);
  expect(it.connections).toHaveLength(1);
});

test("hints are handed over as they are", async () => {
  const it = dagit();
  await it.settle();
  await it.last().send('event: location\ndata: {"name":"weather"}\n\n');
  expect(it.hints).toEqual([["location", { name: "weather" }]]);
});
