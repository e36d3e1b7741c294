// What the log shows is part of the address: a link shows the same lines to somebody else.
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { LEVELS, type Level, type LogFilter } from "../../state/log";

export interface FilterState {
  value: LogFilter;
  set: (changes: Partial<LogFilter>) => void;
}

export function useLogFilter(): FilterState {
  const [search, setSearch] = useSearchParams();
  const levels = search.get("levels");
  const step = search.get("step");
  const text = search.get("q") ?? "";
  const value = useMemo<LogFilter>(() => ({ levels: readLevels(levels), step, text }), [levels, step, text]);
  const set = (changes: Partial<LogFilter>) => {
    const next = { ...value, ...changes };
    const all = next.levels.size === LEVELS.length;
    const fields: Record<string, string> = {};
    if (!all) fields.levels = [...next.levels].join(",");
    if (next.step !== null) fields.step = next.step;
    if (next.text !== "") fields.q = next.text;
    setSearch(fields, { replace: true, preventScrollReset: true });
  };
  return { value, set };
}

function readLevels(text: string | null): ReadonlySet<Level> {
  if (text === null) return new Set(LEVELS);
  const names = text.split(",");
  return new Set(LEVELS.filter((level) => names.includes(level)));
}
