// Small parts that several pages use.
import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { Link } from "react-router";
import { ApiError } from "../api/client";
import type { Tags } from "../api/types";
import { cx } from "./format";
import { Icon, type IconName } from "./icons";
import type { Tone } from "./status";

/** A modal window in the browser's own dialog: focus is held, Escape closes it. */
export function Dialog(props: { title: string; onClose: () => void; children: ReactNode; className?: string }) {
  const { title, onClose, children, className } = props;
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      className={className}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === ref.current) ref.current.close();
      }}
    >
      <div className="dialog-head">
        <h2 id={id}>{title}</h2>
        <button
          type="button"
          className="button plain icon small"
          aria-label="Close"
          onClick={() => ref.current?.close()}
        >
          <Icon name="cross" />
        </button>
      </div>
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}

export function Switch(props: { on: boolean; label: string; disabled?: boolean; onChange: (on: boolean) => void }) {
  const { on, label, disabled, onChange } = props;
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      aria-label={label}
      title={label}
      disabled={disabled}
      className="switch"
      onClick={() => onChange(!on)}
    >
      <span />
    </button>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

const NOTICE_ICONS: Record<Tone, IconName> = {
  green: "check",
  red: "alert",
  blue: "info",
  amber: "alert",
  grey: "info",
};

export function Notice({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <div className={`notice tone-${tone}`} role={tone === "red" ? "alert" : "status"}>
      <Icon name={NOTICE_ICONS[tone]} />
      <div className="grow">{children}</div>
    </div>
  );
}

/** Why something could not be shown, and a way to try again. */
export function Failure({ error, retry }: { error: Error; retry: () => void }) {
  const missing = error instanceof ApiError && error.status === 404;
  return (
    <Empty title={missing ? "Not found" : "This could not be loaded"}>
      <p>{error.message}</p>
      {!missing && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </Empty>
  );
}

export function Skeleton({ rows = 4 }: { rows?: number }) {
  return (
    <div className="skeletons" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="skeleton" />
      ))}
    </div>
  );
}

export function TagList({ tags, href }: { tags: Tags; href?: (tag: string) => string }) {
  const entries = Object.entries(tags);
  if (entries.length === 0) return null;
  return (
    <span className="row wrap tag-list">
      {entries.map(([name, value]) => {
        const words = value === "" ? name : `${name}: ${value}`;
        return href ? (
          <Link key={name} className="tag" to={href(`${name}=${value}`)} title={words}>
            {words}
          </Link>
        ) : (
          <span key={name} className="tag" title={words}>
            {words}
          </span>
        );
      })}
    </span>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1200);
    return () => clearTimeout(timer);
  }, [copied]);
  // A page that is not served securely has no clipboard.
  if (!("clipboard" in navigator)) return null;
  return (
    <button
      type="button"
      className={cx("button plain icon small", copied && "copied")}
      aria-label={label}
      title={copied ? "Copied" : label}
      onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
    >
      <Icon name={copied ? "check" : "copy"} size={14} />
    </button>
  );
}

export function SearchField(props: {
  value: string;
  onChange: (value: string) => void;
  label: string;
  small?: boolean;
}) {
  const { value, onChange, label, small } = props;
  return (
    <span className="field">
      <Icon name="search" size={14} />
      <input
        type="search"
        className={cx("input", small && "small")}
        data-search=""
        value={value}
        placeholder={label}
        aria-label={label}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && value !== "") onChange("");
          else if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </span>
  );
}
