import { Link } from "react-router";
import type { JobHead, Run, Schedule } from "../../api/types";
import { useSwitchSchedule } from "../../feed/live";
import { routes } from "../../routes";
import { jobKey } from "../../state/runs";
import { count, seconds } from "../../ui/format";
import { Icon } from "../../ui/icons";
import { Switch } from "../../ui/parts";
import { RUN_LOOKS, StatusIcon } from "../../ui/status";
import { Ago } from "../../ui/time";
import { CronText } from "../schedules/cron";

interface Props {
  jobs: JobHead[];
  schedules: Schedule[];
  runs: ReadonlyMap<string, Run[]>;
}

export function JobTable({ jobs, schedules, runs }: Props) {
  if (jobs.length === 0) return null;
  return (
    <div className="scroll-x">
      <table className="list jobs-table">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Schedules</th>
            <th scope="col">Last runs</th>
            <th scope="col">Latest</th>
            <th scope="col">
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <JobRow
              key={job.name}
              job={job}
              schedules={schedules.filter((one) => one.job === job.name)}
              runs={runs.get(jobKey({ ...job, job: job.name })) ?? []}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function JobRow({ job, schedules, runs }: { job: JobHead; schedules: Schedule[]; runs: Run[] }) {
  const to = routes.job({ ...job, job: job.name });
  const latest = runs[0];
  return (
    <tr>
      <td className="job-cell">
        <Link to={to} className="job-name">
          {job.name}
        </Link>
        {job.description && <p className="muted small clip">{job.description.split("\n")[0]}</p>}
      </td>
      <td>
        {schedules.map((schedule) => (
          <ScheduleChip key={schedule.name} schedule={schedule} />
        ))}
      </td>
      <td>
        <LastRuns runs={runs} />
      </td>
      <td>
        {latest ? (
          <Link to={routes.run(latest.run_id)} className="row latest">
            <StatusIcon look={RUN_LOOKS[latest.status]} />
            <Ago at={latest.queued_at ?? latest.requested_at} />
          </Link>
        ) : (
          <span className="muted small">none yet</span>
        )}
      </td>
      <td className="end">
        <Link to={to} className="button small" aria-label={`Open ${job.name} to launch it`}>
          <Icon name="play" size={11} /> Launch
        </Link>
      </td>
    </tr>
  );
}

function ScheduleChip({ schedule }: { schedule: Schedule }) {
  const switching = useSwitchSchedule();
  const on = schedule.status === "RUNNING";
  return (
    <div className="row schedule-chip">
      <Switch
        on={on}
        label={`Schedule ${schedule.name}`}
        disabled={switching.isPending}
        onChange={(next) => switching.mutate({ schedule, on: next })}
      />
      <Link to={routes.schedule(schedule)} className="schedule-name clip" title={schedule.name}>
        <CronText schedule={schedule} />
      </Link>
    </div>
  );
}

const BARS = 10;

/** The newest runs, oldest first: a bar each, higher for what took longer. */
function LastRuns({ runs }: { runs: Run[] }) {
  const shown = runs.slice(0, BARS).reverse();
  const longest = Math.max(1, ...shown.map(duration));
  return (
    <div className="last-runs" role="group" aria-label={count(shown.length, "recent run")}>
      {shown.map((run) => {
        const { tone, label } = RUN_LOOKS[run.status];
        const level = Math.ceil((4 * Math.sqrt(duration(run))) / Math.sqrt(longest));
        const words = `${label}${run.ended_at ? ` after ${seconds(duration(run))}` : ""}`;
        return (
          <Link
            key={run.run_id}
            to={routes.run(run.run_id)}
            className={`tone-${tone}`}
            data-level={run.ended_at === null ? 4 : level}
            data-active={run.ended_at === null ? "" : undefined}
            title={words}
            aria-label={words}
          >
            <span />
          </Link>
        );
      })}
    </div>
  );
}

function duration(run: Run): number {
  if (run.started_at === null || run.ended_at === null) return 0;
  return Math.max(0, Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1000;
}
