// One run, live: how it is, what its steps do, and every event of its log.
import { useMemo } from "react";
import { Link, useLocation, useParams } from "react-router";
import { useRun } from "../../api/queries";
import type { JobAddress } from "../../api/client";
import type { RunDetail } from "../../api/types";
import { useRunFeed } from "../../feed/run";
import { routes } from "../../routes";
import { ended, merge, type Head } from "../../state/head";
import { stepsOf, type Steps } from "../../state/steps";
import { Empty } from "../../ui/parts";
import { RUN_LOOKS } from "../../ui/status";
import { shortId } from "../../ui/format";
import { Header } from "./header";
import { LogPanel } from "./log";
import { StepsPanel } from "./steps";
import { Trouble } from "./trouble";
import { useLogFilter } from "./filter";
import "./run.css";

const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function RunPage() {
  const { id = "" } = useParams();
  if (RUN_ID.test(id)) return <Run id={id} />;
  return (
    <Empty title="This is no run's id">
      <p>
        A run&apos;s id is a UUID in lower case. See <Link to={routes.runs}>all runs</Link>.
      </p>
    </Empty>
  );
}

function Run({ id }: { id: string }) {
  const state = useRunFeed(id);
  const launched = (useLocation().state as { launched?: JobAddress } | null)?.launched ?? null;
  // What was launched a moment ago is not stored yet; the feed will tell.
  const stored = useRun(id, launched === null).data;
  const head = useMemo<Head>(() => merge<Head>(state.head, stored ? headOf(stored) : {}), [state.head, stored]);
  const steps = useMemo<Steps>(
    () => (state.steps.size > 0 || !stored ? state.steps : stepsOf(stored.steps)),
    [state.steps, stored],
  );
  const filter = useLogFilter();
  const look = RUN_LOOKS[head.status ?? "REQUESTED"];
  const over = ended(head.status);
  return (
    <div className="run-page">
      <title>{`${MARKS[look.tone]} ${head.job ?? shortId(id)} · Dagwire`}</title>
      <Header head={head} launched={launched} />
      <Trouble head={head} steps={steps} onStep={(step) => filter.set({ step })} />
      {head.status === undefined && state.log.length === 0 && launched === null ? (
        <Unknown />
      ) : (
        <div className="run-columns">
          <StepsPanel
            steps={steps}
            over={over}
            head={head}
            selected={filter.value.step}
            onSelect={(step) => filter.set({ step: step === filter.value.step ? null : step })}
          />
          <LogPanel log={state.log} filter={filter} over={over} />
        </div>
      )}
    </div>
  );
}

const MARKS = { green: "✓", red: "✕", blue: "▶", amber: "…", grey: "○" };

function headOf(stored: RunDetail): Head {
  const { steps, ...head } = stored;
  return head;
}

function Unknown() {
  return (
    <div className="card unknown-run">
      <Empty title="Requested…">
        <p>
          Nothing is known of this run yet. If it was just launched it appears here by itself; if not, compare its id
          with the list of <Link to={routes.runs}>all runs</Link>.
        </p>
      </Empty>
    </div>
  );
}
