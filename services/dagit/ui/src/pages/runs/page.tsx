// All runs, newest first, live. The filter is the address, so it can be shared.
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { useJobs } from "../../api/queries";
import type { RunStatus } from "../../api/types";
import { useLiveRuns } from "../../feed/live";
import type { RunFilter } from "../../state/runs";
import { Icon } from "../../ui/icons";
import { Empty, Failure, Skeleton } from "../../ui/parts";
import { RunTable } from "./table";

const PAGE = 50;

interface Show {
  key: string;
  label: string;
  statuses: RunStatus[];
}

const ALL: Show = { key: "all", label: "All", statuses: [] };
const SHOWS: readonly Show[] = [
  ALL,
  { key: "queued", label: "Queued", statuses: ["QUEUED"] },
  { key: "active", label: "In progress", statuses: ["STARTING", "STARTED", "CANCELING"] },
  { key: "success", label: "Succeeded", statuses: ["SUCCESS"] },
  { key: "failed", label: "Failed", statuses: ["FAILURE"] },
  { key: "canceled", label: "Cancelled", statuses: ["CANCELED"] },
];
const FIELDS = ["location", "repository", "job", "schedule", "tag"] as const;

export function RunsPage() {
  const [search, setSearch] = useSearchParams();
  const show = SHOWS.find(({ key }) => key === search.get("show")) ?? ALL;
  const before = search.get("before");
  const filter = useMemo<RunFilter>(() => {
    const [location, repository, job, schedule, tag] = FIELDS.map((field) => search.get(field));
    const fields = { location, repository, job, schedule, tag } as Omit<RunFilter, "statuses">;
    return { ...fields, statuses: show.statuses };
  }, [search, show]);
  const { runs, data, error, refetch, isPlaceholderData } = useLiveRuns(filter, PAGE, before);
  const set = (changes: Record<string, string | null>) => {
    const next = new URLSearchParams(search);
    next.delete("before");
    for (const [field, value] of Object.entries(changes)) {
      if (value === null) next.delete(field);
      else next.set(field, value);
    }
    setSearch(next);
  };
  const narrowed = FIELDS.some((field) => filter[field] !== null) || show !== ALL;

  return (
    <div className="page">
      <title>Runs · Dagwire</title>
      <div className="page-head">
        <h1>Runs</h1>
        <div className="row wrap">
          <div className="segments" role="group" aria-label="Status">
            {SHOWS.map((one) => (
              <button
                key={one.key}
                type="button"
                aria-pressed={one === show}
                onClick={() => set({ show: one === ALL ? null : one.key })}
              >
                {one.label}
              </button>
            ))}
          </div>
          <JobFilter filter={filter} set={set} />
        </div>
      </div>
      <Chips filter={filter} set={set} />
      <div className="card" aria-busy={isPlaceholderData}>
        {runs === undefined ? (
          error ? (
            <Failure error={error} retry={() => void refetch()} />
          ) : (
            <Skeleton rows={8} />
          )
        ) : runs.length === 0 ? (
          <NoRuns narrowed={narrowed || before !== null} />
        ) : (
          <RunTable runs={runs} />
        )}
      </div>
      {(before !== null || data?.next) && (
        <nav className="pager" aria-label="Pages">
          <button type="button" className="button" disabled={before === null} onClick={() => set({ before: null })}>
            Newest
          </button>
          <button
            type="button"
            className="button"
            disabled={!data?.next || isPlaceholderData}
            onClick={() => set({ before: data?.next ?? null })}
          >
            Older <Icon name="chevron" size={13} />
          </button>
        </nav>
      )}
    </div>
  );
}

interface FilterProps {
  filter: RunFilter;
  set: (changes: Record<string, string | null>) => void;
}

function JobFilter({ filter, set }: FilterProps) {
  const jobs = useJobs().data ?? [];
  const value = filter.job === null ? "" : JSON.stringify([filter.location, filter.repository, filter.job]);
  const options = new Map(
    jobs.map((job) => [JSON.stringify([job.location, job.repository, job.name]), `${job.name} (${job.location})`]),
  );
  // A job that is gone still has runs.
  if (value !== "" && !options.has(value)) options.set(value, filter.job ?? "");
  return (
    <select
      className="input job-filter"
      aria-label="Job"
      value={value}
      onChange={(event) => {
        const [location, repository, job] = (
          event.target.value === "" ? [null, null, null] : JSON.parse(event.target.value)
        ) as (string | null)[];
        set({ location: location ?? null, repository: repository ?? null, job: job ?? null });
      }}
    >
      <option value="">All jobs</option>
      {[...options].map(([key, words]) => (
        <option key={key} value={key}>
          {words}
        </option>
      ))}
    </select>
  );
}

/** What else narrows the list, each with a way to drop it. */
function Chips({ filter, set }: FilterProps) {
  const chips = (["schedule", "tag"] as const).filter((field) => filter[field] !== null);
  if (filter.job === null && filter.location !== null) {
    return <Chip label="location" value={filter.location} drop={() => set({ location: null, repository: null })} />;
  }
  if (chips.length === 0) return null;
  return (
    <div className="row chips">
      {chips.map((field) => (
        <Chip key={field} label={field} value={filter[field] ?? ""} drop={() => set({ [field]: null })} />
      ))}
    </div>
  );
}

function Chip({ label, value, drop }: { label: string; value: string; drop: () => void }) {
  return (
    <span className="pill tone-blue chip">
      {label}: {value}
      <button type="button" aria-label={`Drop the filter ${label}`} onClick={drop}>
        <Icon name="cross" size={11} />
      </button>
    </span>
  );
}

function NoRuns({ narrowed }: { narrowed: boolean }) {
  if (narrowed) {
    return (
      <Empty title="No such runs">
        <p>No run matches this filter now. A run that does appears here by itself.</p>
      </Empty>
    );
  }
  return (
    <Empty title="No runs yet">
      <p>Open a job and press Launch, switch a schedule on, or use the command line:</p>
      <pre>dagwire job launch my_job</pre>
    </Empty>
  );
}
