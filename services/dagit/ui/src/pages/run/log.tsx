// The log: filtered, searched and drawn only where it is seen, so that any length stays smooth.
import { useDeferredValue, useMemo, useRef, useState } from "react";
import { VList, type VListHandle } from "virtua";
import { extendMatches, LEVELS, type Level, type Log, type Matches } from "../../state/log";
import { cx } from "../../ui/format";
import { Icon } from "../../ui/icons";
import { Empty, SearchField } from "../../ui/parts";
import type { FilterState } from "./filter";
import { useFollowing } from "./following";
import { LogRow } from "./row";

interface Props {
  log: Log;
  filter: FilterState;
  over: boolean;
}

export function LogPanel({ log, filter, over }: Props) {
  const wanted = useDeferredValue(filter.value);
  const indices = useMatches(log, wanted).indices;
  const shown = filter.value;
  const narrowed = indices.length < log.length;
  return (
    <section className="card log-panel" aria-label="Log">
      <div className="log-bar">
        <SearchField small value={shown.text} onChange={(text) => filter.set({ text })} label="Search the log" />
        <LevelFilter log={log} levels={shown.levels} onChange={(levels) => filter.set({ levels })} />
        {shown.step !== null && (
          <button
            type="button"
            className="pill tone-blue step-filter"
            title="Show all steps"
            onClick={() => filter.set({ step: null })}
          >
            <span className="clip">{shown.step}</span> <Icon name="cross" size={11} />
          </button>
        )}
        <span className="grow" />
        <span className="muted small nowrap tabular" role="status">
          {narrowed ? `${indices.length.toLocaleString("en")} of ` : ""}
          {log.length.toLocaleString("en")} {log.length === 1 ? "line" : "lines"}
        </span>
      </div>
      <Lines
        key={JSON.stringify([...wanted.levels, wanted.step, wanted.text])}
        log={log}
        indices={indices}
        over={over}
      />
    </section>
  );
}

/** Looks only at what is new since the last time. */
function useMatches(log: Log, filter: FilterState["value"]): Matches {
  const [kept] = useState<{ matches: Matches | null }>({ matches: null });
  return useMemo(() => {
    // A memo of its own: React's forgets the last value, from which the next one is made.
    // eslint-disable-next-line react-hooks/immutability -- see above; the result depends on log and filter alone
    kept.matches = extendMatches(kept.matches, log, filter);
    return kept.matches;
  }, [kept, log, filter]);
}

const LEVEL_WORDS: Record<Level, string> = {
  EVENT: "Events",
  DEBUG: "Debug",
  INFO: "Info",
  WARNING: "Warning",
  ERROR: "Error",
  CRITICAL: "Critical",
};

interface LevelProps {
  log: Log;
  levels: ReadonlySet<Level>;
  onChange: (levels: ReadonlySet<Level>) => void;
}

/** A click on a level shows only it; again, or with Shift, adds and removes. */
function LevelFilter({ log, levels, onChange }: LevelProps) {
  const all = levels.size === LEVELS.length;
  const toggle = (level: Level, together: boolean) => {
    if (all && !together) onChange(new Set([level]));
    else {
      const next = new Set(levels);
      if (!next.delete(level)) next.add(level);
      onChange(next.size === 0 ? new Set(LEVELS) : next);
    }
  };
  return (
    <div className="levels" role="group" aria-label="Levels">
      {LEVELS.map((level) => {
        const number = log.counts[level] ?? 0;
        return (
          <button
            key={level}
            type="button"
            className={cx("level-chip", `level-${level.toLowerCase()}`)}
            aria-pressed={levels.has(level)}
            data-empty={number === 0 ? "" : undefined}
            title={`${LEVEL_WORDS[level]}: ${number.toLocaleString("en")}. Shift and a click combines levels.`}
            onClick={(event) => toggle(level, event.shiftKey)}
          >
            {LEVEL_WORDS[level]} <span className="tabular">{number > 0 ? short(number) : ""}</span>
          </button>
        );
      })}
    </div>
  );
}

const short = (value: number) => (value < 10_000 ? value.toLocaleString("en") : `${Math.floor(value / 1000)}k`);

interface LinesProps {
  log: Log;
  indices: readonly number[];
  over: boolean;
}

function Lines({ log, indices, over }: LinesProps) {
  const list = useRef<VListHandle>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const last = indices.length - 1;
  const { box, following, goToEnd, onScroll, byHand } = useFollowing(list, last);
  const toggle = (cursor: string) => {
    const next = new Set(open);
    if (!next.delete(cursor)) next.add(cursor);
    setOpen(next);
  };
  if (indices.length === 0) return <NoLines waiting={log.length === 0 && !over} />;
  return (
    <div ref={box} className="log-lines" {...byHand}>
      <VList
        ref={list}
        className="log-list"
        data={indices}
        onScroll={onScroll}
        onResize={onScroll}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label="Log lines"
      >
        {(index) => {
          const entry = log.at(index);
          return entry ? (
            <LogRow key={entry.cursor} entry={entry} open={open.has(entry.cursor)} onToggle={toggle} />
          ) : (
            <span key={index} />
          );
        }}
      </VList>
      {!following && (
        <button type="button" className="button small log-follow" onClick={goToEnd}>
          <Icon name="down" size={12} /> {over ? "To the end" : "Follow"}
        </button>
      )}
    </div>
  );
}

function NoLines({ waiting }: { waiting: boolean }) {
  if (waiting) {
    return (
      <Empty title="Requested…">
        <p>The request is accepted: the run starts once, whatever happens. Its log appears here as it is written.</p>
      </Empty>
    );
  }
  return (
    <Empty title="No lines">
      <p>Nothing in this log matches what is asked for. Drop a level, the step or the search.</p>
    </Empty>
  );
}
