// Lists from Dagit with the feed's news laid over them.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { api } from "../api/client";
import { keys, useRuns, useSchedules } from "../api/queries";
import type { Run, Schedule } from "../api/types";
import { withNews, type RunFilter } from "../state/runs";
import { withLastTick } from "../state/ticks";
import { useToast } from "../ui/toast";
import { useFeed, useStore } from "./global";

export const ALL_RUNS: RunFilter = {
  statuses: [],
  location: null,
  repository: null,
  job: null,
  schedule: null,
  tag: null,
};

/** Returns one page of runs, live; `before` is null on the first. */
export function useLiveRuns(filter: RunFilter, limit: number, before: string | null) {
  const query = useRuns(searchOf(filter, limit, before));
  const news = useStore(useFeed().runs);
  const runs = useMemo<Run[] | undefined>(
    () => (query.data ? withNews(query.data, news, filter, before === null) : undefined),
    [query.data, news, filter, before],
  );
  return { ...query, runs };
}

function searchOf(filter: RunFilter, limit: number, before: string | null): URLSearchParams {
  const search = new URLSearchParams(filter.statuses.map((status) => ["status", status]));
  for (const field of ["location", "repository", "job", "schedule", "tag"] as const) {
    const value = filter[field];
    if (value !== null) search.set(field, value);
  }
  search.set("limit", String(limit));
  if (before !== null) search.set("before", before);
  return search;
}

/** Returns the schedules, live. */
export function useLiveSchedules() {
  const query = useSchedules();
  const news = useStore(useFeed().ticks);
  const schedules = useMemo(() => query.data?.map((one) => withLastTick(one, news)), [query.data, news]);
  return { ...query, schedules };
}

/** Returns a function that switches a schedule: shown at once, taken back if Dagit refuses. */
export function useSwitchSchedule() {
  const client = useQueryClient();
  const toast = useToast();
  const put = (changed: Schedule) =>
    client.setQueryData<Schedule[]>(keys.schedules, (old) =>
      old?.map((one) => (one.schedule_id === changed.schedule_id ? { ...one, ...changed } : one)),
    );
  return useMutation({
    mutationFn: ({ schedule, on }: { schedule: Schedule; on: boolean }) => api.switchSchedule(schedule, on),
    onMutate: async ({ schedule, on }) => {
      // An answer that is still on its way would undo it.
      await client.cancelQueries({ queryKey: keys.schedules });
      put({ ...schedule, status: on ? "RUNNING" : "STOPPED" });
    },
    onSuccess: (changed) => {
      put(changed);
      toast("green", `${changed.name} is ${changed.status === "RUNNING" ? "on" : "off"}.`);
    },
    onError: (error, { schedule }) => {
      put(schedule);
      toast("red", `${schedule.name} was not switched: ${error.message}`);
    },
  });
}
