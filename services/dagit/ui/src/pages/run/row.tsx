import { Fragment, memo, type ReactNode } from "react";
import type { Config } from "../../api/types";
import { known } from "../../state/events";
import type { Entry } from "../../state/log";
import { clock, cx, dayAndTime } from "../../ui/format";
import { ErrorChain } from "../../ui/error";
import { Icon } from "../../ui/icons";
import { MetadataList } from "../../ui/metadata";
import { CopyButton } from "../../ui/parts";

interface Props {
  entry: Entry;
  open: boolean;
  onToggle: (cursor: string) => void;
}

export const LogRow = memo(function LogRow({ entry, open, onToggle }: Props) {
  const { level, label, step, text, time, cursor } = entry;
  return (
    <div className={cx("log-row", `level-${level.toLowerCase()}`, open && "open")} data-type={entry.event.type}>
      <button
        type="button"
        className="log-toggle"
        aria-expanded={open}
        aria-label={open ? "Hide the event" : "Show the event"}
        onClick={() => onToggle(cursor)}
      >
        <Icon name="chevron" size={11} />
      </button>
      <time className="log-time" dateTime={entry.event.time} title={dayAndTime(time)}>
        {clock(time)}
      </time>
      <span className={cx("log-level", level !== "EVENT" && "log-level-word")} title={level}>
        {level === "EVENT" ? label : level}
      </span>
      <span className="log-step clip" title={step ?? undefined}>
        {step}
      </span>
      <div className="log-message">
        <span className={open ? undefined : "log-clamp"}>
          {level !== "EVENT" && label !== "" && <span className="log-label">{label}</span>}
          {entry.event.type !== "dagwire.step.failed" && text}
          <Fields entry={entry} />
        </span>
        <Extra entry={entry} />
        {open && <Raw entry={entry} />}
      </div>
    </div>
  );
});

/** The fields of a structured log line, beside its words. */
function Fields({ entry }: { entry: Entry }) {
  const event = known(entry.event);
  const fields: Config = (event && "fields" in event.data ? event.data.fields : null) ?? {};
  return Object.entries(fields).map(([name, value]) => (
    <Fragment key={name}>
      {" "}
      <span className="log-field">
        <span>{name}=</span>
        {typeof value === "string" ? value : JSON.stringify(value)}
      </span>
    </Fragment>
  ));
}

/** What belongs to an event beside its line: errors with their causes, metadata. */
function Extra({ entry }: { entry: Entry }): ReactNode {
  const event = known(entry.event);
  switch (event?.type) {
    case "dagwire.step.failed":
      // It says what the line would say.
      return <ErrorChain error={event.data.error} />;
    case "dagwire.run.failed":
    case "dagwire.run.lost":
      return event.data.error && <ErrorChain error={event.data.error} open={false} />;
    case "dagwire.data.asset_materialized":
    case "dagwire.data.expectation_checked":
    case "dagwire.data.output_produced": {
      const { metadata = {} } = event.data;
      return Object.keys(metadata).length > 0 && <MetadataList metadata={metadata} />;
    }
    default:
      return null;
  }
}

/** The event as it was received. */
function Raw({ entry }: { entry: Entry }) {
  const text = JSON.stringify(entry.event, null, 2);
  return (
    <div className="log-raw">
      <CopyButton text={text} label="Copy the event" />
      <pre tabIndex={0}>{text}</pre>
    </div>
  );
}
