// One schedule: its next ticks and what came of the last ones.
import { useMemo, useState } from "react";
import { Link, useParams } from "react-router";
import { usePreview, useTicks } from "../../api/queries";
import type { ScheduleAddress } from "../../api/client";
import type { Schedule, Tick } from "../../api/types";
import { useFeed, useStore } from "../../feed/global";
import { useLiveSchedules } from "../../feed/live";
import { routes } from "../../routes";
import { withTicks } from "../../state/ticks";
import { ErrorChain } from "../../ui/error";
import { inZone, relative, shortId } from "../../ui/format";
import { Icon } from "../../ui/icons";
import { Empty, Failure, Skeleton } from "../../ui/parts";
import { Pill, TICK_LOOKS } from "../../ui/status";
import { Ago, useNow } from "../../ui/time";
import { CronText } from "./cron";
import { NextTick, ScheduleSwitch } from "./page";

export function SchedulePage() {
  const { location = "", repository = "", name = "" } = useParams();
  const at: ScheduleAddress = { location, repository, name };
  const { schedules, error, refetch } = useLiveSchedules();
  const schedule = schedules?.find(
    (one) => one.location === location && one.repository === repository && one.name === name,
  );
  if (schedules === undefined) {
    return error ? <Failure error={error} retry={() => void refetch()} /> : <Skeleton />;
  }
  return (
    <div className="page">
      <title>{`${name} · Dagwire`}</title>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link to={routes.schedules}>Schedules</Link>
        <Icon name="chevron" size={11} />
        <span>{location}</span>
      </nav>
      <div className="page-head">
        <div className="row">
          <h1>{name}</h1>
          {schedule && <ScheduleSwitch schedule={schedule} />}
        </div>
        <Link className="button" to={routes.runsOf({ location, repository, schedule: name })}>
          Its runs
        </Link>
      </div>
      {schedule ? (
        <div className="schedule-grid">
          <Facts schedule={schedule} />
          <Preview at={at} schedule={schedule} />
        </div>
      ) : (
        <div className="card">
          <Empty title="This schedule is not served now">
            <p>
              Its code location may be broken or gone, see <Link to={routes.jobs}>Jobs</Link>. Its ticks are below.
            </p>
          </Empty>
        </div>
      )}
      <Ticks at={at} id={schedule?.schedule_id ?? null} zone={schedule?.execution_timezone ?? "UTC"} />
    </div>
  );
}

function Facts({ schedule }: { schedule: Schedule }) {
  return (
    <section className="card schedule-facts">
      {schedule.description && <p>{schedule.description}</p>}
      <dl>
        <dt>Launches</dt>
        <dd className="row wrap">
          <Link to={routes.job(schedule)}>{schedule.job}</Link>
          {schedule.preset !== null && <span className="tag">{schedule.preset}</span>}
        </dd>
        <dt>When</dt>
        <dd>
          <CronText schedule={schedule} />
        </dd>
        <dt>Rule</dt>
        <dd className="mono">
          {schedule.cron_schedules.join(" and ")} <span className="muted">in {schedule.execution_timezone}</span>
        </dd>
        <dt>Next tick</dt>
        <dd>
          <NextTick schedule={schedule} />
        </dd>
        <dt>Default</dt>
        <dd>{schedule.default_status === "RUNNING" ? "on" : "off"}, as its code says</dd>
      </dl>
    </section>
  );
}

function Preview({ at, schedule }: { at: ScheduleAddress; schedule: Schedule }) {
  const now = useNow();
  const ticks = usePreview(at).data?.ticks ?? [];
  return (
    <section className="card schedule-preview">
      <h2>{schedule.status === "RUNNING" ? "The next ticks" : "The next ticks, were it on"}</h2>
      <ol>
        {ticks.map((tick) => (
          <li key={tick} className="row">
            <time dateTime={tick} className="grow tabular">
              {inZone(Date.parse(tick), schedule.execution_timezone)}
            </time>
            <span className="muted small">{relative(Date.parse(tick), now)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Ticks({ at, id, zone }: { at: ScheduleAddress; id: string | null; zone: string }) {
  const [before, setBefore] = useState<string | null>(null);
  const { data, error, refetch } = useTicks(at, before);
  const news = useStore(useFeed().ticks);
  const ticks = useMemo(() => {
    const fresh = before === null && id !== null ? (news.get(id) ?? []) : [];
    return data && withTicks(data.ticks, fresh);
  }, [data, news, id, before]);
  return (
    <section className="card ticks" aria-label="Ticks">
      <div className="card-head">
        <h2 className="grow">Ticks</h2>
        {before !== null && (
          <button type="button" className="button small" onClick={() => setBefore(null)}>
            Newest
          </button>
        )}
        {data?.next && (
          <button type="button" className="button small" onClick={() => setBefore(data.next)}>
            Older
          </button>
        )}
      </div>
      {ticks === undefined ? (
        error ? (
          <Failure error={error} retry={() => void refetch()} />
        ) : (
          <Skeleton />
        )
      ) : ticks.length === 0 ? (
        <Empty title="It has not ticked yet">
          <p>Switch it on, and its ticks appear here when they are due: which runs they asked for, or why none.</p>
        </Empty>
      ) : (
        <ol>
          {ticks.map((tick) => (
            <TickLine key={tick.nominal_time} tick={tick} zone={zone} />
          ))}
        </ol>
      )}
    </section>
  );
}

function TickLine({ tick, zone }: { tick: Tick; zone: string }) {
  return (
    <li className="tick">
      <Pill look={TICK_LOOKS[tick.status]} />
      <span className="muted tick-time">
        {inZone(Date.parse(tick.nominal_time), zone)} · <Ago at={tick.nominal_time} />
      </span>
      <div className="grow">
        {tick.run_ids.map((run) => (
          <Link key={run} to={routes.run(run)} className="mono tick-run">
            {shortId(run)}
          </Link>
        ))}
        {tick.missed && <span className="pill tone-amber">missed</span>} {tick.reason}
        {tick.error && <ErrorChain error={tick.error} open={false} />}
      </div>
    </li>
  );
}
