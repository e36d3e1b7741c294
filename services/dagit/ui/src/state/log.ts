// The log of a run: append-only, filtered incrementally, so that fifty thousand lines stay smooth. Pure.
import type { LogLevel } from "../api/types";
import { describe } from "./describe";
import type { Envelope, FeedItem } from "./events";

/** Facts that are no log lines have the level EVENT; failures count as ERROR. */
export type Level = LogLevel | "EVENT";
export const LEVELS: readonly Level[] = ["EVENT", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

export interface Entry {
  cursor: string;
  /** Milliseconds since 1970. */
  time: number;
  level: Level;
  step: string | null;
  /** What kind of fact it is; empty for a plain log line. */
  label: string;
  text: string;
  event: Envelope;
}

/** A list that only grows. Versions share one buffer, so appending costs what is appended. */
export class Log {
  static readonly empty = new Log([], 0, {});
  readonly length: number;
  readonly counts: Readonly<Partial<Record<Level, number>>>;
  private readonly buffer: Entry[];

  private constructor(buffer: Entry[], length: number, counts: Partial<Record<Level, number>>) {
    this.buffer = buffer;
    this.length = length;
    this.counts = counts;
  }

  at(index: number): Entry | undefined {
    return index < this.length ? this.buffer[index] : undefined;
  }

  append(items: readonly FeedItem[]): Log {
    if (items.length === 0) return this;
    // Another version may have grown the shared buffer past this one's end; then this one needs its own.
    const mine = this.length > 0 && this.buffer.length === this.length;
    const buffer = mine ? this.buffer : this.buffer.slice(0, this.length);
    const counts = { ...this.counts };
    for (const item of items) {
      const entry = entryOf(item);
      counts[entry.level] = (counts[entry.level] ?? 0) + 1;
      buffer.push(entry);
    }
    return new Log(buffer, buffer.length, counts);
  }
}

function entryOf({ cursor, event }: FeedItem): Entry {
  return { cursor, time: Date.parse(event.time), event, ...describe(event) };
}

export interface LogFilter {
  levels: ReadonlySet<Level>;
  step: string | null;
  /** Words that must all occur, in any case. */
  text: string;
}

/** The indices of the entries that pass, and how far the log has been looked at. */
export interface Matches {
  filter: LogFilter;
  indices: readonly number[];
  through: number;
}

/** Looks at what is new in the log only, unless the filter or the log is another one. */
export function extendMatches(previous: Matches | null, log: Log, filter: LogFilter): Matches {
  const kept = previous !== null && previous.filter === filter && previous.through <= log.length ? previous : null;
  if (kept?.through === log.length) return kept;
  const passes = predicate(filter);
  const indices = kept ? kept.indices.slice() : [];
  for (let index = kept?.through ?? 0; index < log.length; index += 1) {
    const entry = log.at(index);
    if (entry && passes(entry)) indices.push(index);
  }
  return { filter, indices, through: log.length };
}

function predicate({ levels, step, text }: LogFilter): (entry: Entry) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (entry) => {
    if (!levels.has(entry.level)) return false;
    if (step !== null && entry.step !== step && !entry.step?.startsWith(step + ".")) return false;
    if (words.length === 0) return true;
    const haystack = `${entry.label} ${entry.step ?? ""} ${entry.text}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  };
}
