// The Playground: preset, config and tags of the next run, checked while it is written, and Launch.
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useNavigate } from "react-router";
import type { Job } from "../../api/types";
import { withDefaults, write, type Format } from "../../config/document";
import { fields } from "../../config/schema";
import { Editor, type EditorHandle } from "../../editor/editor";
import { routes } from "../../routes";
import { Icon } from "../../ui/icons";
import { Notice } from "../../ui/parts";
import { draftLike, draftOf, load, reformat, requestOf, save, untouched, type Draft, type Template } from "./draft";
import { useLaunch } from "./launch";
import { FieldList } from "./reference";
import { Tags } from "./tags";
import { useChecks, type Check } from "./checks";

export function Playground({ job, template }: { job: Job; template: Template | null }) {
  const at = { location: job.location, repository: job.repository, job: job.name };
  const [draft, setDraft] = useState<Draft>(() =>
    template ? draftLike(job, template) : (load(at) ?? draftOf(job, null, "yaml")),
  );
  const check = useChecks(at, draft.text);
  const navigate = useNavigate();
  const launch = useLaunch((id) => void navigate(routes.run(id), { state: { launched: at } }));
  const blocked = check.problems.length > 0;
  const start = () => {
    if (!blocked) launch.start(requestOf(job, draft, check.parsed));
  };
  useEffect(() => save({ location: job.location, repository: job.repository, job: job.name }, draft), [job, draft]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    start();
  };
  return (
    <section className="card playground" aria-label="Playground" onKeyDown={onKeyDown}>
      <div className="card-head">
        <h2 className="grow">Playground</h2>
        <PresetPicker job={job} draft={draft} onChange={setDraft} />
      </div>
      <Config job={job} draft={draft} check={check} onChange={setDraft} />
      <Tags tags={draft.tags} onChange={(tags) => setDraft({ ...draft, tags })} />
      <div className="launch-bar">
        {launch.problem && <Notice tone="red">{launch.problem}</Notice>}
        <div className="row">
          <CheckState check={check} />
          <button
            type="button"
            className="button primary launch"
            disabled={blocked || launch.pending}
            title="Ctrl Enter"
            onClick={start}
          >
            <Icon name={launch.pending ? "spinner" : "play"} size={13} spin={launch.pending} />
            Launch
          </button>
        </div>
      </div>
    </section>
  );
}

interface DraftProps {
  job: Job;
  draft: Draft;
  onChange: (draft: Draft) => void;
}

function PresetPicker({ job, draft, onChange }: DraftProps) {
  const edited = !untouched(job, draft);
  const preset = job.presets.find(({ name }) => name === draft.preset);
  return (
    <span className="row">
      {edited && (
        <button
          type="button"
          className="link small"
          title={`Back to ${draft.preset ?? "the defaults"}`}
          onClick={() => onChange({ ...draftOf(job, draft.preset, draft.format), tags: draft.tags })}
        >
          Reset
        </button>
      )}
      <select
        className="input"
        aria-label="Preset"
        title={preset?.description}
        value={edited ? "edited" : draft.preset === null ? "defaults" : `preset ${draft.preset}`}
        onChange={(event) => {
          const name = event.target.value.startsWith("preset ") ? event.target.value.slice(7) : null;
          onChange(draftOf(job, name, draft.format));
        }}
      >
        {edited && (
          <option value="edited" disabled>
            {draft.preset === null ? "Own config" : `${draft.preset}, edited`}
          </option>
        )}
        <option value="defaults">Defaults</option>
        {job.presets.length > 0 && (
          <optgroup label="Presets">
            {job.presets.map(({ name }) => (
              <option key={name} value={`preset ${name}`}>
                {name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </span>
  );
}

type View = "config" | "reference";

function Config({ job, draft, check, onChange }: DraftProps & { check: Check }) {
  const [view, setView] = useState<View>("config");
  const editor = useRef<EditorHandle>(null);
  const problemsId = useId();
  const reference = useMemo(() => fields(job.config_schema), [job.config_schema]);
  const faults = useMemo(
    () => new Map(check.problems.map(({ line, path, message }) => [line, [path, message].filter(Boolean).join(": ")])),
    [check.problems],
  );
  const value = check.parsed.value;
  return (
    <>
      <div className="config-bar">
        <div className="segments" role="group" aria-label="View">
          <button type="button" aria-pressed={view === "config"} onClick={() => setView("config")}>
            Config
          </button>
          <button type="button" aria-pressed={view === "reference"} onClick={() => setView("reference")}>
            Reference
          </button>
        </div>
        <span className="grow" />
        {view === "config" && value !== null && (
          <button
            type="button"
            className="button plain small"
            title="Write every default into the config; what is there stays"
            onClick={() =>
              onChange({ ...draft, text: write(withDefaults(value, job.default_run_config), draft.format) })
            }
          >
            Add defaults
          </button>
        )}
        {view === "config" && <FormatPicker draft={draft} onChange={onChange} />}
      </div>
      <div className="config-area">
        {view === "config" ? (
          <Editor
            ref={editor}
            value={draft.text}
            onChange={(text) => onChange({ ...draft, text })}
            label="Run config"
            describedBy={problemsId}
            faults={faults}
            placeholder={"# No config: the defaults of the code hold."}
          />
        ) : reference.length === 0 ? (
          <p className="muted no-reference">This job takes no config.</p>
        ) : (
          <div className="reference" tabIndex={0} aria-label="Config reference">
            <FieldList fields={reference} />
          </div>
        )}
      </div>
      <ul id={problemsId} className="problems" aria-label="Problems">
        {check.problems.map((problem, index) => (
          <li key={index}>
            <button
              type="button"
              onClick={() => {
                setView("config");
                editor.current?.goTo(problem.line);
              }}
            >
              <Icon name="alert" size={13} />
              <span>
                {problem.path && <code>{problem.path}</code>} {problem.message}
              </span>
              <span className="muted small nowrap">line {problem.line}</span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function FormatPicker({ draft, onChange }: { draft: Draft; onChange: (draft: Draft) => void }) {
  return (
    <div className="segments" role="group" aria-label="Format">
      {(["yaml", "json"] satisfies Format[]).map((format) => (
        <button
          key={format}
          type="button"
          aria-pressed={draft.format === format}
          onClick={() => onChange(reformat(draft, format))}
        >
          {format.toUpperCase()}
        </button>
      ))}
    </div>
  );
}

function CheckState({ check }: { check: Check }) {
  const { problems, pending, unchecked } = check;
  if (problems.length > 0) {
    return (
      <span className="row check tone-red grow" role="status">
        <Icon name="alert" size={14} /> {problems.length} {problems.length === 1 ? "problem" : "problems"}
      </span>
    );
  }
  if (unchecked !== null) {
    return (
      <span className="row check tone-amber grow clip" role="status" title={unchecked}>
        <Icon name="alert" size={14} /> <span className="clip">Not checked: {unchecked}</span>
      </span>
    );
  }
  return (
    <span className={`row check grow ${pending ? "" : "tone-green"}`} role="status">
      <Icon name={pending ? "spinner" : "check"} size={14} spin={pending} /> {pending ? "Checking…" : "Valid"}
    </span>
  );
}
