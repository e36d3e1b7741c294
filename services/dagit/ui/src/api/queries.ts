// What pages ask Dagit for, and under which keys the answers are kept. The feed keeps them fresh: nothing polls.
import { QueryClient, useQuery } from "@tanstack/react-query";
import { api, ApiError, type JobAddress, type ScheduleAddress } from "./client";

export const keys = {
  info: ["info"],
  locations: ["locations"],
  jobs: ["jobs"],
  job: ["job"],
  runs: ["runs"],
  run: ["run"],
  schedules: ["schedules"],
  ticks: ["ticks"],
  preview: ["preview"],
} as const;

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // Shown at once from memory, asked again when a page opens.
        staleTime: 2000,
        refetchOnWindowFocus: false,
        retry: (count, error) => count < 3 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
        retryDelay: (attempt) => Math.min(300 * 2 ** attempt, 3000),
      },
    },
  });
}

export const useInfo = () =>
  useQuery({ queryKey: keys.info, queryFn: ({ signal }) => api.info(signal), staleTime: Infinity });

export const useLocations = () =>
  useQuery({ queryKey: keys.locations, queryFn: ({ signal }) => api.locations(signal) });

export const useJobs = () => useQuery({ queryKey: keys.jobs, queryFn: ({ signal }) => api.jobs(signal) });

export const useJob = (at: JobAddress) =>
  useQuery({
    queryKey: [...keys.job, at.location, at.repository, at.job],
    queryFn: ({ signal }) => api.job(at, signal),
  });

export const useSchedules = () =>
  useQuery({ queryKey: keys.schedules, queryFn: ({ signal }) => api.schedules(signal) });

export const useTicks = (at: ScheduleAddress, before: string | null) =>
  useQuery({
    queryKey: [...keys.ticks, at.location, at.repository, at.name, before],
    queryFn: ({ signal }) => api.ticks(at, before, signal),
  });

export const usePreview = (at: ScheduleAddress) =>
  useQuery({
    queryKey: [...keys.preview, at.location, at.repository, at.name],
    queryFn: ({ signal }) => api.preview(at, signal),
  });

export const useRuns = (query: URLSearchParams) =>
  useQuery({
    queryKey: [...keys.runs, query.toString()],
    queryFn: ({ signal }) => api.runs(query, signal),
    placeholderData: (previous) => previous,
  });

export const useRun = (id: string, enabled: boolean) =>
  useQuery({ queryKey: [...keys.run, id], queryFn: ({ signal }) => api.run(id, signal), retry: false, enabled });
