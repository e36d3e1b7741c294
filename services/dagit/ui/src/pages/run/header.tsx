import { useState } from "react";
import { Link } from "react-router";
import { api, type JobAddress } from "../../api/client";
import { write } from "../../config/document";
import { routes } from "../../routes";
import { ended, type Head } from "../../state/head";
import { shortId } from "../../ui/format";
import { Icon } from "../../ui/icons";
import { CopyButton, Dialog, TagList } from "../../ui/parts";
import { Pill, RUN_LOOKS } from "../../ui/status";
import { Ago, Elapsed } from "../../ui/time";
import { useToast } from "../../ui/toast";
import { Requester } from "../runs/table";
import type { Template } from "../job/draft";

export function Header({ head, launched }: { head: Head; launched: JobAddress | null }) {
  const job = addressOf(head) ?? launched;
  return (
    <header className="run-head">
      <div className="run-title">
        <nav className="crumbs" aria-label="Breadcrumb">
          <Link to={routes.runs}>Runs</Link>
          <Icon name="chevron" size={11} />
          <span className="mono" title={head.run_id}>
            {shortId(head.run_id)}
          </span>
          <CopyButton text={head.run_id} label="Copy the run's id" />
        </nav>
        <div className="row wrap">
          <h1 className="clip">{job ? <Link to={routes.job(job)}>{job.job}</Link> : `Run ${shortId(head.run_id)}`}</h1>
          <span role="status" className="run-status" data-status={head.status ?? "REQUESTED"}>
            <Pill look={RUN_LOOKS[head.status ?? "REQUESTED"]} />
          </span>
          {head.preset && <span className="tag">{head.preset}</span>}
          <TagList tags={head.tags ?? {}} href={(tag) => routes.runsOf({ tag })} />
        </div>
      </div>
      <Facts head={head} />
      <Actions head={head} />
    </header>
  );
}

function addressOf({ location, repository, job }: Head): JobAddress | null {
  return location !== undefined && repository !== undefined && job !== undefined ? { location, repository, job } : null;
}

function Facts({ head }: { head: Head }) {
  if (!head.queued_at) return null;
  return (
    <dl className="run-facts">
      <div>
        <dt>Requested by</dt>
        <dd>
          {head.requested_by && head.location !== undefined && head.repository !== undefined && (
            <Requester
              run={{ location: head.location, repository: head.repository, requested_by: head.requested_by }}
            />
          )}
        </dd>
      </div>
      <div>
        <dt>Queued</dt>
        <dd>
          <Ago at={head.queued_at} />
        </dd>
      </div>
      <div>
        <dt title="From the queue until its worker spoke">{head.started_at ? "Started after" : "Waited"}</dt>
        <dd>
          <Elapsed from={head.queued_at} to={head.started_at ?? head.ended_at} />
        </dd>
      </div>
      <div>
        <dt>Took</dt>
        <dd>
          <Elapsed from={head.started_at} to={head.ended_at} />
        </dd>
      </div>
    </dl>
  );
}

type Open = "config" | "cancel" | null;

function Actions({ head }: { head: Head }) {
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const job = addressOf(head);
  const template: Template = { preset: head.preset ?? null, run_config: head.run_config ?? {}, tags: head.tags ?? {} };
  const over = ended(head.status);
  return (
    <div className="row">
      <button type="button" className="button" disabled={!head.run_config} onClick={() => setOpen("config")}>
        Config
      </button>
      {job && (
        <Link className="button" to={routes.job(job)} state={{ template }}>
          Launch again
        </Link>
      )}
      {!over && (
        <button
          type="button"
          className="button danger"
          disabled={head.status === "CANCELING"}
          onClick={() => setOpen("cancel")}
        >
          <Icon name="stop" size={13} /> Cancel
        </button>
      )}
      {open === "config" && <ConfigDialog head={head} onClose={close} />}
      {open === "cancel" && <CancelDialog id={head.run_id} onClose={close} />}
    </div>
  );
}

function ConfigDialog({ head, onClose }: { head: Head; onClose: () => void }) {
  const requested = write(head.run_config ?? {}, "yaml");
  const resolved = head.resolved_config ? write(head.resolved_config, "yaml") : null;
  return (
    <Dialog title="Config of this run" onClose={onClose}>
      <div className="config-dialog">
        <section>
          <h3>As requested{head.preset ? `, over the preset ${head.preset}` : ""}</h3>
          <pre tabIndex={0}>{requested || "# nothing: the preset or the defaults hold"}</pre>
        </section>
        <section>
          <h3>With preset and defaults filled in</h3>
          <pre tabIndex={0}>{resolved === null ? "# known once the run is planned" : resolved || "# empty"}</pre>
        </section>
        <dl className="run-facts">
          <div>
            <dt>Idempotency key</dt>
            <dd className="mono">{head.key}</dd>
          </div>
          {head.executor && (
            <div>
              <dt>Executor</dt>
              <dd>{head.executor}</dd>
            </div>
          )}
        </dl>
      </div>
    </Dialog>
  );
}

function CancelDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const toast = useToast();
  const [pending, setPending] = useState(false);
  const cancel = () => {
    setPending(true);
    api.cancel(id).then(
      () => {
        toast("green", "The run is asked to stop.");
        onClose();
      },
      (error: unknown) => {
        toast("red", error instanceof Error ? error.message : String(error));
        onClose();
      },
    );
  };
  return (
    <Dialog title="Cancel this run?" onClose={onClose}>
      <p>Steps that run now are interrupted and clean up after themselves. What they have written stays.</p>
      <div className="row dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Keep it running
        </button>
        <button type="button" className="button primary" disabled={pending} onClick={cancel}>
          Cancel the run
        </button>
      </div>
    </Dialog>
  );
}
