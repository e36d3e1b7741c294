// A job: its graph, what each op takes and gives, its last runs; and the Playground that launches it.
import { useMemo, useState } from "react";
import { Link, useLocation, useParams } from "react-router";
import { useJob, useLocations } from "../../api/queries";
import type { Job } from "../../api/types";
import { write } from "../../config/document";
import { ALL_RUNS, useLiveRuns, useLiveSchedules } from "../../feed/live";
import { routes } from "../../routes";
import { Icon } from "../../ui/icons";
import { Empty, Failure, Notice, Skeleton, TagList } from "../../ui/parts";
import { RunTable } from "../runs/table";
import { CronText } from "../schedules/cron";
import { ScheduleSwitch } from "../schedules/page";
import { JobGraph } from "./graph";
import { Playground } from "./playground";
import type { Template } from "./draft";
import "./job.css";

export function JobPage() {
  const { location = "", repository = "", job: name = "" } = useParams();
  const { data: job, error, refetch } = useJob({ location, repository, job: name });
  const state = useLocation().state as { template?: Template } | null;
  return (
    <div className="page job-page">
      <title>{`${name} · Dagwire`}</title>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to={routes.jobs}>Jobs</Link>
        <Icon name="chevron" size={11} />
        <span>{location}</span>
        <Icon name="chevron" size={11} />
        <span>{repository}</span>
      </nav>
      {job ? (
        <Content job={job} template={state?.template ?? null} />
      ) : error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : (
        <Skeleton rows={8} />
      )}
    </div>
  );
}

function Content({ job, template }: { job: Job; template: Template | null }) {
  return (
    <>
      <div className="page-head job-head">
        <div className="grow">
          <div className="row wrap">
            <h1>{job.name}</h1>
            <TagList tags={job.tags} />
          </div>
          {job.description && <p className="muted job-description">{job.description}</p>}
        </div>
        <JobSchedules job={job} />
      </div>
      <LocationTrouble name={job.location} />
      <div className="job-columns">
        <div className="job-left">
          <section className="card job-graph" aria-label="Graph">
            <JobGraph job={job} />
          </section>
          <LastRuns job={job} />
          <PodConfig job={job} />
        </div>
        <Playground key={`${job.location}/${job.repository}/${job.name}`} job={job} template={template} />
      </div>
    </>
  );
}

function JobSchedules({ job }: { job: Job }) {
  const { schedules } = useLiveSchedules();
  const own = schedules?.filter(
    (one) => one.job === job.name && one.location === job.location && one.repository === job.repository,
  );
  if (!own || own.length === 0) return null;
  return (
    <ul className="job-schedules">
      {own.map((schedule) => (
        <li key={schedule.name} className="row">
          <ScheduleSwitch schedule={schedule} />
          <Link to={routes.schedule(schedule)} title={schedule.name}>
            <CronText schedule={schedule} />
          </Link>
        </li>
      ))}
    </ul>
  );
}

function LocationTrouble({ name }: { name: string }) {
  const location = useLocations().data?.find((one) => one.name === name);
  if (!location || (location.status === "LOADED" && !location.stale)) return null;
  return (
    <div className="job-trouble">
      <Notice tone={location.status === "FAILED" ? "red" : "amber"}>
        Code location {name} is not as it should be; this is what it served last. See <Link to={routes.jobs}>Jobs</Link>{" "}
        for its error.
      </Notice>
    </div>
  );
}

/** What the job's code says of the pods that its runs get. */
function PodConfig({ job }: { job: Job }) {
  if (!job.container_config) return null;
  return (
    <section className="card" aria-label="Kubernetes">
      <div className="card-head">
        <h2 className="grow">Kubernetes</h2>
        <span className="muted small">what the pods of its runs get</span>
      </div>
      <pre tabIndex={0} className="job-pods">
        {write(job.container_config, "yaml")}
      </pre>
    </section>
  );
}

const SHOWN = 8;

function LastRuns({ job }: { job: Job }) {
  const { location, repository, name } = job;
  const filter = useMemo(() => ({ ...ALL_RUNS, location, repository, job: name }), [location, repository, name]);
  const { runs, error } = useLiveRuns(filter, SHOWN, null);
  const [all] = useState(() => routes.runsOf({ location, repository, job: name }));
  return (
    <section className="card" aria-label="Last runs">
      <div className="card-head">
        <h2 className="grow">Last runs</h2>
        <Link to={all} className="small">
          All runs
        </Link>
      </div>
      {runs && runs.length > 0 ? (
        <RunTable runs={runs.slice(0, SHOWN)} withJob={false} />
      ) : runs ? (
        <Empty title="It has not run yet">
          <p>Choose a preset or write a config, then press Launch.</p>
        </Empty>
      ) : (
        <p className="muted job-no-runs">{error ? error.message : "Loading…"}</p>
      )}
    </section>
  );
}
