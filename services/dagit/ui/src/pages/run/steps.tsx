// The steps of a run, as bars over time or as a graph. A click shows only that step's part of the log.
import { useMemo, useState } from "react";
import { VList } from "virtua";
import { GraphView } from "../../graph/graph";
import { steps as overTime, type Bar } from "../../state/timeline";
import type { Head } from "../../state/head";
import type { Step, Steps } from "../../state/steps";
import { count, cx, seconds } from "../../ui/format";
import { Icon } from "../../ui/icons";
import { Empty } from "../../ui/parts";
import { STEP_LOOKS, StatusIcon, type ShownStepStatus } from "../../ui/status";
import { useFastNow } from "../../ui/time";

interface Props {
  steps: Steps;
  head: Head;
  /** The run has ended; what still seems to run does not. */
  over: boolean;
  selected: string | null;
  onSelect: (step: string) => void;
}

type View = "timeline" | "graph";

export function StepsPanel({ steps, head, over, selected, onSelect }: Props) {
  const [view, setView] = useState<View>("timeline");
  const list = useMemo(() => [...steps.values()], [steps]);
  return (
    <section className="card steps-panel" aria-label="Steps">
      <div className="card-head">
        <h2>Steps</h2>
        <Tally steps={list} over={over} />
        <div className="segments" role="group" aria-label="View">
          <button type="button" aria-pressed={view === "timeline"} onClick={() => setView("timeline")}>
            Timeline
          </button>
          <button type="button" aria-pressed={view === "graph"} onClick={() => setView("graph")}>
            Graph
          </button>
        </div>
      </div>
      {list.length === 0 ? (
        <NoSteps over={over} queued={head.status === "QUEUED"} />
      ) : view === "timeline" ? (
        <Timeline steps={list} head={head} over={over} selected={selected} onSelect={onSelect} />
      ) : (
        <StepGraph steps={list} over={over} selected={selected} onSelect={onSelect} />
      )}
    </section>
  );
}

function NoSteps({ over, queued }: { over: boolean; queued: boolean }) {
  if (over) {
    return (
      <Empty title="No steps">
        <p>The run ended before its steps were known.</p>
      </Empty>
    );
  }
  return (
    <Empty title={queued ? "Waiting in the queue" : "Not planned yet"}>
      <p>
        {queued
          ? "It starts as soon as there is a place for it."
          : "Its steps appear when its worker has loaded the job."}
      </p>
    </Empty>
  );
}

function Tally({ steps, over }: { steps: Step[]; over: boolean }) {
  const done = steps.filter(({ endedAt }) => endedAt !== null).length;
  const failed = steps.filter(({ status }) => status === "FAILURE").length;
  const words = over ? count(steps.length, "step") : `${done} of ${steps.length} done`;
  return (
    <span className="muted small grow">
      {steps.length > 0 && words}
      {failed > 0 && <span className="steps-failed"> · {failed} failed</span>}
    </span>
  );
}

export function shownStatus({ status }: Step, over: boolean): ShownStepStatus {
  return over && (status === "RUNNING" || status === "PENDING") ? "STOPPED" : status;
}

interface ListProps {
  steps: Step[];
  over: boolean;
  selected: string | null;
  onSelect: (step: string) => void;
}

function Timeline({ steps, head, over, selected, onSelect }: ListProps & { head: Head }) {
  const now = useFastNow(!over);
  const end = head.ended_at ? Date.parse(head.ended_at) : null;
  const { bars, total, before } = overTime(steps, head.started_at ? Date.parse(head.started_at) : null, end, now);
  return (
    <>
      <div className="timeline-axis">
        <span className="timeline-before" title="From the worker's start to its first step: loading the code">
          {before > 0 && `after ${seconds(before / 1000)} of set-up`}
        </span>
        <div aria-hidden="true">
          {[0, 0.25, 0.5, 0.75, 1].map((part) => (
            <span key={part}>{seconds((total * part) / 1000)}</span>
          ))}
        </div>
      </div>
      <VList className="timeline" data={steps} role="list">
        {(step, index) => (
          <StepRow
            key={step.key}
            step={step}
            bar={bars[index] ?? null}
            status={shownStatus(step, over)}
            selected={step.key === selected}
            onSelect={onSelect}
          />
        )}
      </VList>
    </>
  );
}

interface RowProps {
  step: Step;
  bar: Bar | null;
  status: ShownStepStatus;
  selected: boolean;
  onSelect: (step: string) => void;
}

function StepRow({ step, bar, status, selected, onSelect }: RowProps) {
  const look = STEP_LOOKS[status];
  const took = bar ? seconds(bar.ms / 1000) : "";
  const why = step.reason ?? (step.error ? `${step.error.type}: ${step.error.message}` : null);
  return (
    <div role="listitem">
      <button
        type="button"
        className={cx("step-row", `tone-${look.tone}`, selected && "selected")}
        aria-pressed={selected}
        data-step={step.key}
        data-status={status}
        title={[step.key, look.label, took, why].filter(Boolean).join(" · ")}
        onClick={() => onSelect(step.key)}
      >
        <StatusIcon look={look} size={14} />
        <span className="step-name clip">{step.key}</span>
        <span className="step-track">
          {bar && <span className="step-bar" style={{ left: `${bar.from * 100}%`, width: `${bar.width * 100}%` }} />}
          {!bar && step.reason && <span className="step-reason clip">{step.reason}</span>}
        </span>
        <span className="step-took tabular">{took}</span>
      </button>
    </div>
  );
}

function StepGraph({ steps, over, selected, onSelect }: ListProps) {
  const nodes = steps.map((step) => {
    const look = STEP_LOOKS[shownStatus(step, over)];
    return { id: step.key, label: step.key, look };
  });
  const edges = useMemo(
    () => steps.flatMap(({ key, dependsOn }) => dependsOn.map((from) => ({ from, to: key }))),
    [steps],
  );
  return (
    <div className="steps-graph">
      <GraphView
        label="Graph of the steps"
        nodes={nodes}
        edges={edges}
        selected={selected}
        onSelect={(step) => {
          if (step !== null) onSelect(step);
          else if (selected !== null) onSelect(selected);
        }}
      />
      <p className="steps-hint muted small">
        <Icon name="info" size={12} /> Select a step to see its part of the log.
      </p>
    </div>
  );
}
