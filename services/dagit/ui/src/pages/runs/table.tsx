// Runs as lines: used by the list of all runs, by jobs and by schedules.
import { Link } from "react-router";
import type { Run } from "../../api/types";
import { routes } from "../../routes";
import { who } from "../../state/describe";
import { shortId } from "../../ui/format";
import { TagList } from "../../ui/parts";
import { Pill, RUN_LOOKS } from "../../ui/status";
import { Ago, Elapsed } from "../../ui/time";
import "./runs.css";

/** Tags that the launcher and the scheduler add say what other columns say. */
const own = (tags: Run["tags"]) =>
  Object.fromEntries(Object.entries(tags).filter(([name]) => !name.startsWith("dagwire/")));

export function RunTable({ runs, withJob = true }: { runs: Run[]; withJob?: boolean }) {
  return (
    <div className="scroll-x">
      <table className="list runs-table">
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Run</th>
            {withJob && <th scope="col">Job</th>}
            <th scope="col">Requested by</th>
            <th scope="col">Queued</th>
            <th scope="col">Took</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.run_id} data-run={run.run_id}>
              <td>
                <Pill look={RUN_LOOKS[run.status]} />
              </td>
              <td>
                <Link to={routes.run(run.run_id)} className="mono" title={run.run_id}>
                  {shortId(run.run_id)}
                </Link>
              </td>
              {withJob && (
                <td className="run-job">
                  <span className="row wrap">
                    <Link to={routes.job(run)} className="job-name" title={`${run.location} / ${run.repository}`}>
                      {run.job}
                    </Link>
                    {run.preset !== null && <span className="tag">{run.preset}</span>}
                    <TagList tags={own(run.tags)} href={(tag) => routes.runsOf({ tag })} />
                  </span>
                </td>
              )}
              <td className="muted">
                <Requester run={run} />
              </td>
              <td className="muted">
                <Ago at={run.queued_at ?? run.requested_at} />
              </td>
              <td className="muted">
                <Elapsed from={run.started_at ?? undefined} to={run.ended_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Requester({ run }: { run: Pick<Run, "location" | "repository" | "requested_by"> }) {
  const { kind, name } = run.requested_by;
  if (kind !== "schedule" || !name) return <>{who(run.requested_by)}</>;
  return <Link to={routes.schedule({ location: run.location, repository: run.repository, name })}>{name}</Link>;
}
