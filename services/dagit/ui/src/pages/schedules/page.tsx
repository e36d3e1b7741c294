// Every schedule: what it launches, when next, how its last tick ended; switched on and off here.
import { useMemo, useState } from "react";
import { Link } from "react-router";
import type { Schedule, Tick } from "../../api/types";
import { useLiveSchedules, useSwitchSchedule } from "../../feed/live";
import { routes } from "../../routes";
import { inZone, relative } from "../../ui/format";
import { Empty, Failure, SearchField, Skeleton, Switch } from "../../ui/parts";
import { StatusIcon, TICK_LOOKS } from "../../ui/status";
import { Ago, useNow } from "../../ui/time";
import { CronText } from "./cron";
import "./schedules.css";

export function SchedulesPage() {
  const [text, setText] = useState("");
  const { schedules, error, refetch } = useLiveSchedules();
  const shown = useMemo(() => schedules?.filter((one) => matches(one, text)), [schedules, text]);
  return (
    <div className="page">
      <title>Schedules · Dagwire</title>
      <div className="page-head">
        <h1>Schedules</h1>
        <SearchField value={text} onChange={setText} label="Filter schedules" />
      </div>
      <div className="card">
        {shown === undefined ? (
          error ? (
            <Failure error={error} retry={() => void refetch()} />
          ) : (
            <Skeleton />
          )
        ) : shown.length === 0 ? (
          <NoSchedules filtering={text !== ""} />
        ) : (
          <ScheduleTable schedules={shown} />
        )}
      </div>
    </div>
  );
}

function ScheduleTable({ schedules }: { schedules: Schedule[] }) {
  return (
    <div className="scroll-x">
      <table className="list schedules-table">
        <thead>
          <tr>
            <th scope="col">On</th>
            <th scope="col">Schedule</th>
            <th scope="col">Job</th>
            <th scope="col">When</th>
            <th scope="col">Next tick</th>
            <th scope="col">Last tick</th>
          </tr>
        </thead>
        <tbody>
          {schedules.map((schedule) => (
            <ScheduleRow key={schedule.schedule_id} schedule={schedule} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ScheduleRow({ schedule }: { schedule: Schedule }) {
  return (
    <tr data-schedule={schedule.name}>
      <td>
        <ScheduleSwitch schedule={schedule} />
      </td>
      <td>
        <Link to={routes.schedule(schedule)} className="job-name">
          {schedule.name}
        </Link>
        <p className="muted small">{schedule.location}</p>
      </td>
      <td>
        <Link to={routes.job(schedule)}>{schedule.job}</Link>
        {schedule.preset !== null && <span className="tag schedule-preset">{schedule.preset}</span>}
      </td>
      <td>
        <CronText schedule={schedule} />
        <p className="muted small">{schedule.execution_timezone}</p>
      </td>
      <td className="nowrap">
        <NextTick schedule={schedule} />
      </td>
      <td className="nowrap">
        <LastTick tick={schedule.last_tick} />
      </td>
    </tr>
  );
}

export function ScheduleSwitch({ schedule }: { schedule: Schedule }) {
  const switching = useSwitchSchedule();
  return (
    <Switch
      on={schedule.status === "RUNNING"}
      label={`Schedule ${schedule.name}`}
      disabled={switching.isPending}
      onChange={(on) => switching.mutate({ schedule, on })}
    />
  );
}

export function NextTick({ schedule }: { schedule: Schedule }) {
  const now = useNow();
  if (schedule.status === "STOPPED") return <span className="muted">switched off</span>;
  if (schedule.next_tick === null) return <span className="muted">never again</span>;
  const at = Date.parse(schedule.next_tick);
  return (
    <>
      <time dateTime={schedule.next_tick}>{at <= now ? "due now" : relative(at, now)}</time>
      <p className="muted small">{inZone(at, schedule.execution_timezone)}</p>
    </>
  );
}

export function LastTick({ tick }: { tick: Tick | null }) {
  if (tick === null) return <span className="muted">none yet</span>;
  const look = TICK_LOOKS[tick.status];
  const words = (
    <>
      <StatusIcon look={look} />
      <span>{look.label}</span>
      <span className="muted">
        <Ago at={tick.nominal_time} />
      </span>
    </>
  );
  const run = tick.run_ids[0];
  if (run !== undefined) {
    return (
      <Link to={routes.run(run)} className="row">
        {words}
      </Link>
    );
  }
  return (
    <span className="row" title={tick.reason ?? tick.error?.message}>
      {words}
    </span>
  );
}

function NoSchedules({ filtering }: { filtering: boolean }) {
  if (filtering) return <Empty title="No schedule by that name" />;
  return (
    <Empty title="No schedules yet">
      <p>A schedule launches a job by itself. Put one beside your jobs and return it from the repository:</p>
      <pre>{'@schedule(cron_schedule="0 6 * * *", job=my_job)\ndef every_morning():\n    return {}'}</pre>
    </Empty>
  );
}

function matches(schedule: Schedule, text: string): boolean {
  const haystack = `${schedule.name} ${schedule.job} ${schedule.location} ${schedule.description}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => haystack.includes(word));
}
