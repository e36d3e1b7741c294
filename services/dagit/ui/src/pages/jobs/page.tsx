// The jobs of every code location, with their schedules and last runs; and what is wrong with a location.
import { useMemo, useState } from "react";
import { Link } from "react-router";
import { useJobs, useLocations } from "../../api/queries";
import type { JobHead, Location, Run, Schedule } from "../../api/types";
import { ALL_RUNS, useLiveRuns, useLiveSchedules } from "../../feed/live";
import { jobKey } from "../../state/runs";
import { Empty, Failure, SearchField, Skeleton } from "../../ui/parts";
import { JobTable } from "./table";
import { LocationHead } from "./location";
import "./jobs.css";

const RECENT = 200;

export function JobsPage() {
  const [text, setText] = useState("");
  const locations = useLocations();
  const jobs = useJobs();
  const schedules = useLiveSchedules().schedules;
  const recent = useLiveRuns(ALL_RUNS, RECENT, null);
  const runs = useMemo(() => byJob(recent.runs ?? []), [recent.runs]);
  const shown = useMemo(() => (jobs.data ?? []).filter((job) => matches(job, text)), [jobs.data, text]);
  const failed = locations.error ?? jobs.error;

  if (failed && !locations.data) return <Failure error={failed} retry={() => void locations.refetch()} />;
  return (
    <div className="page">
      <title>Jobs · Dagwire</title>
      <div className="page-head">
        <h1>Jobs</h1>
        <SearchField value={text} onChange={setText} label="Filter jobs" />
      </div>
      {locations.data === undefined ? (
        <div className="card">
          <Skeleton />
        </div>
      ) : locations.data.length === 0 ? (
        <NoLocations />
      ) : (
        locations.data.map((location) => (
          <LocationCard
            key={location.name}
            location={location}
            jobs={shown.filter((job) => job.location === location.name)}
            filtering={text !== ""}
            schedules={schedules ?? []}
            runs={runs}
          />
        ))
      )}
    </div>
  );
}

interface CardProps {
  location: Location;
  jobs: JobHead[];
  filtering: boolean;
  schedules: Schedule[];
  runs: ReadonlyMap<string, Run[]>;
}

function LocationCard({ location, jobs, filtering, schedules, runs }: CardProps) {
  if (filtering && jobs.length === 0) return null;
  const several = location.repositories.length > 1;
  return (
    <section className="card location" aria-label={`Code location ${location.name}`}>
      <LocationHead location={location} />
      {location.repositories.map((repository) => (
        <div key={repository.name}>
          {several && (
            <h3 className="repository" title={repository.description}>
              {repository.name}
            </h3>
          )}
          <JobTable
            jobs={jobs.filter((job) => job.repository === repository.name)}
            schedules={schedules.filter((one) => one.location === location.name && one.repository === repository.name)}
            runs={runs}
          />
        </div>
      ))}
      {location.status === "LOADED" && location.repositories.every((repository) => repository.jobs.length === 0) && (
        <Empty title="No jobs here yet">
          <p>
            Decorate a function with <code>@job</code> and put it into this location&apos;s <code>@repository</code>; it
            appears here as soon as the file is saved.
          </p>
        </Empty>
      )}
    </section>
  );
}

function NoLocations() {
  return (
    <div className="card">
      <Empty title="No code location yet">
        <p>A code location is a Python file or module with your jobs. Start Dagwire with one:</p>
        <pre>dagwire up -f my_repo.py</pre>
        <p>
          or list running code servers in the workspace file. See <Link to="/runs">Runs</Link> for what ran before.
        </p>
      </Empty>
    </div>
  );
}

function byJob(runs: readonly Run[]): Map<string, Run[]> {
  const grouped = new Map<string, Run[]>();
  for (const run of runs) {
    const key = jobKey(run);
    const group = grouped.get(key);
    if (group) group.push(run);
    else grouped.set(key, [run]);
  }
  return grouped;
}

function matches(job: JobHead, text: string): boolean {
  const haystack = [job.name, job.description, job.location, job.repository, ...Object.entries(job.tags).flat()]
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => haystack.includes(word));
}
