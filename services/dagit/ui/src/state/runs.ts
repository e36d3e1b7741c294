// What the feed tells about all runs, laid over the lists that Dagit returned. Pure.
import type { Run, RunPage } from "../api/types";
import type { FeedItem } from "./events";
import { applyHead, ended, merge, type Head } from "./head";

/** The most runs whose news are remembered; older ones are in Dagit's lists. */
const REMEMBERED = 2000;

/** News by run id, in the order of the first news. */
export type RunNews = ReadonlyMap<string, Head>;

export interface RunFilter {
  statuses: readonly string[];
  location: string | null;
  repository: string | null;
  job: string | null;
  schedule: string | null;
  tag: string | null;
}

/** Returns the news after several events of kind `launch` and `run`. */
export function applyNews(news: RunNews, items: readonly FeedItem[]): RunNews {
  const next = new Map(news);
  for (const { cursor, event } of items) {
    if (!event.type.startsWith("dagwire.run.")) continue;
    const head = next.get(event.subject) ?? { run_id: event.subject };
    const first = event.type === "dagwire.run.queued" ? { cursor } : {};
    next.set(event.subject, { ...applyHead(head, event), ...first });
  }
  for (const id of next.keys()) {
    if (next.size <= REMEMBERED) break;
    next.delete(id);
  }
  return next;
}

/** Lays the news over one page of a list; the first page (`first`) also gets the runs that are new. */
export function withNews(page: RunPage, news: RunNews, filter: RunFilter, first: boolean): Run[] {
  const listed = new Set(page.runs.map((run) => run.run_id));
  const updated = page.runs.map((run) => merge(run, news.get(run.run_id) ?? {}));
  // What is older than a full page belongs on a later one.
  const oldest = page.next === null ? -Infinity : Math.min(...page.runs.map(queuedAt));
  const isNew = (run: Run) => !listed.has(run.run_id) && queuedAt(run) >= oldest;
  const fresh = first ? [...news.values()].filter(complete).filter(isNew) : [];
  const all = [...fresh.reverse(), ...updated].filter((run) => passes(run, filter));
  return fresh.length === 0 ? all : all.sort((one, other) => queuedAt(other) - queuedAt(one));
}

const queuedAt = (run: Run) => Date.parse(run.queued_at ?? run.requested_at);

/** Whether the feed has told everything a list shows, that is, the run was queued since it was opened. */
function complete(head: Head): head is Head & Run {
  return head.cursor !== undefined && head.job !== undefined && head.status !== undefined;
}

/** Whether a run belongs in a list with this filter. */
export function passes(run: Run, filter: RunFilter): boolean {
  const [tag, value] = splitTag(filter.tag);
  const { kind, name } = run.requested_by;
  return (
    (filter.statuses.length === 0 || filter.statuses.includes(run.status)) &&
    [null, run.location].includes(filter.location) &&
    [null, run.repository].includes(filter.repository) &&
    [null, run.job].includes(filter.job) &&
    [null, kind === "schedule" ? name : undefined].includes(filter.schedule) &&
    (tag === null || run.tags[tag] === value)
  );
}

function splitTag(tag: string | null): [string | null, string] {
  const at = tag?.indexOf("=") ?? -1;
  return tag === null || at < 0 ? [null, ""] : [tag.slice(0, at), tag.slice(at + 1)];
}

/** Whether a run still goes on. */
export const active = (run: { status?: Run["status"] }) => run.status !== undefined && !ended(run.status);

/** A job's address as one text. */
export const jobKey = (of: { location: string; repository: string; job: string }) =>
  `${of.location}/${of.repository}/${of.job}`;
