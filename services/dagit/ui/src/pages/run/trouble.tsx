// Why a run failed, and what to do about it, in plain words above everything else.
import type { Head } from "../../state/head";
import type { Steps } from "../../state/steps";
import { ErrorChain } from "../../ui/error";
import { Icon } from "../../ui/icons";
import { Notice } from "../../ui/parts";

const CAUSES: Record<string, string> = {
  step_failed: "Code of at least one step raised an error.",
  run_error: "The run could not be set up: its definitions, its config or a resource failed.",
  code_location_unknown: "No code location by this name is served.",
  launch_refused: "No worker could be created.",
  start_timeout: "A worker was created but did not start in time.",
  worker_lost: "The worker ended without a word.",
  out_of_memory: "The worker ran out of memory.",
  evicted: "The worker was evicted from its machine.",
  preempted: "The worker had to make room for something more important.",
  node_lost: "The worker's machine is gone.",
  image_unavailable: "The worker's image could not be pulled.",
  container_config: "The worker's container could not be made as configured.",
  unschedulable: "No machine has room for the worker.",
  quota_exceeded: "A quota leaves no room for the worker.",
  worker_deleted: "Somebody deleted the worker.",
  deadline_exceeded: "The worker ran for longer than its deadline.",
};

const SHOWN = 3;

interface Props {
  head: Head;
  steps: Steps;
  onStep: (step: string) => void;
}

export function Trouble({ head, steps, onStep }: Props) {
  const { status, cause, message, error, output, delay } = head;
  if ((status === "QUEUED" || status === "STARTING") && delay) {
    return (
      <div className="run-trouble">
        <Notice tone="amber">
          <strong>Its worker does not run yet.</strong> {delay}
        </Notice>
      </div>
    );
  }
  if (status === "CANCELED" && message) {
    return (
      <div className="run-trouble">
        <Notice tone="grey">{message}</Notice>
      </div>
    );
  }
  if (status !== "FAILURE") return null;
  const general = cause ? CAUSES[cause] : undefined;
  return (
    <div className="run-trouble">
      <Notice tone="red">
        <strong>{general ?? "The run failed."}</strong> {message}
      </Notice>
      {[...steps.values()]
        .filter((step) => step.error !== null)
        .slice(0, SHOWN)
        .map((step) => (
          <button
            key={step.key}
            type="button"
            className="failed-step"
            title="Show its log"
            onClick={() => onStep(step.key)}
          >
            <span>{step.key}</span>
            <span className="mono clip grow">
              <b>{step.error?.type}</b>: {step.error?.message}
            </span>
          </button>
        ))}
      {(error ?? output) && (
        <details>
          <summary>
            <Icon name="chevron" size={12} /> {error ? `${error.type}: ${error.message}` : "What its worker wrote last"}
          </summary>
          {error && <ErrorChain error={error} />}
          {output && (
            <pre tabIndex={0} className="run-output">
              {output}
            </pre>
          )}
        </details>
      )}
    </div>
  );
}
