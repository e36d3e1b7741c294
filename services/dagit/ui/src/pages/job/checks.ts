// Checks the config while it is written: its syntax here, its meaning by the code server through Dagit.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { api, type JobAddress } from "../../api/client";
import { parse, type Parsed, type Problem } from "../../config/document";

export interface Check {
  parsed: Parsed;
  problems: Problem[];
  /** The answer to what is written now is still to come. */
  pending: boolean;
  /** Why nobody could check it; null: it was checked. */
  unchecked: string | null;
}

const TYPING_PAUSE_MS = 200;

export function useChecks(at: JobAddress, text: string): Check {
  const parsed = useMemo(() => parse(text), [text]);
  const config = parsed.value === null ? null : JSON.stringify(parsed.value);
  const settled = useSettled(config, TYPING_PAUSE_MS);
  const query = useQuery({
    queryKey: ["validate", at.location, at.repository, at.job, settled],
    queryFn: ({ signal }) => api.validate(at, JSON.parse(settled ?? "{}") as Record<string, unknown>, signal),
    enabled: settled !== null,
    placeholderData: keepPreviousData,
    staleTime: 10_000,
    retry: 1,
  });
  const problems = useMemo(() => {
    if (parsed.problems.length > 0) return parsed.problems;
    return (query.data?.errors ?? []).map(({ path, message }) => ({
      line: parsed.lineOf(path),
      path: path.join("."),
      message,
    }));
  }, [parsed, query.data]);
  const pending = settled !== config || query.isPlaceholderData || query.isPending;
  return { parsed, problems, pending: pending && query.error === null, unchecked: query.error?.message ?? null };
}

/** Returns the value once it has not changed for a while. */
function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
