// What the feed tells about the ticks of schedules, laid over what Dagit returned. Pure.
import type { Schedule, Tick } from "../api/types";
import { known, type Envelope, type FeedItem } from "./events";

/** New ticks by schedule id, newest first. */
export type TickNews = ReadonlyMap<string, readonly Tick[]>;

const REMEMBERED = 200;

/** Returns the news after several events; the same map if none of them is a tick. */
export function applyTicks(news: TickNews, items: readonly FeedItem[]): TickNews {
  let next: Map<string, readonly Tick[]> | null = null;
  for (const { event } of items) {
    const tick = tickOf(event);
    if (tick === null) continue;
    next ??= new Map(news);
    next.set(event.subject, withTicks(next.get(event.subject) ?? [], [tick]).slice(0, REMEMBERED));
  }
  return next ?? news;
}

/** Joins two lists of ticks, each nominal time once, newest first. */
export function withTicks(ticks: readonly Tick[], fresh: readonly Tick[]): Tick[] {
  const byTime = new Map([...ticks, ...fresh].map((tick) => [Date.parse(tick.nominal_time), tick]));
  return [...byTime.entries()].sort(([one], [other]) => other - one).map(([, tick]) => tick);
}

/** Returns the schedule with its newest tick. */
export function withLastTick(schedule: Schedule, news: TickNews): Schedule {
  const last = withTicks(schedule.last_tick ? [schedule.last_tick] : [], news.get(schedule.schedule_id) ?? [])[0];
  return last === undefined || last === schedule.last_tick ? schedule : { ...schedule, last_tick: last };
}

function tickOf(envelope: Envelope): Tick | null {
  const event = known(envelope);
  const blank = { run_ids: [], reason: null, missed: false, error: null };
  switch (event?.type) {
    case "dagwire.tick.requested":
      return { ...blank, nominal_time: event.data.nominal_time, status: "REQUESTED", run_ids: event.data.run_ids };
    case "dagwire.tick.skipped": {
      const { nominal_time, reason, missed } = event.data;
      return { ...blank, nominal_time, status: "SKIPPED", reason, missed };
    }
    case "dagwire.tick.failed":
      return { ...blank, nominal_time: event.data.nominal_time, status: "FAILED", error: event.data.error };
    default:
      return null;
  }
}
