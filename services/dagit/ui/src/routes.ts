// The addresses of the pages.
import { path, type JobAddress, type ScheduleAddress } from "./api/client";

export const routes = {
  jobs: "/jobs",
  runs: "/runs",
  schedules: "/schedules",
  job: (at: JobAddress) => "/jobs" + path(at.location, at.repository, at.job),
  run: (id: string) => "/runs" + path(id),
  schedule: (at: ScheduleAddress) => "/schedules" + path(at.location, at.repository, at.name),
  runsOf: (filter: Record<string, string>) => `/runs?${new URLSearchParams(filter).toString()}`,
};
