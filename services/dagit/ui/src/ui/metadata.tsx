// User metadata by kind. Whatever it holds is shown as text and elements, never as HTML.
import { lazy, Suspense, type ReactNode } from "react";
import type { Metadata } from "../api/types";
import { dayAndTime } from "./format";
import { Icon } from "./icons";
import "./metadata.css";

const Markdown = lazy(() => import("./markdown"));

/** The most rows of a table that are shown in a log. */
const TABLE_ROWS = 50;

export function MetadataList({ metadata }: { metadata: Record<string, Metadata> }) {
  return (
    <dl className="metadata">
      {Object.entries(metadata).map(([name, entry]) => (
        <div key={name} className={WIDE.has(entry.kind) ? "metadata-wide" : undefined}>
          <dt>{name}</dt>
          <dd>
            <Value entry={entry} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

const WIDE = new Set<Metadata["kind"]>(["table", "md", "json"]);

function Value({ entry: { kind, value } }: { entry: Metadata }): ReactNode {
  switch (kind) {
    case "url":
      return <Url value={text(value)} />;
    case "path":
      return <code>{text(value)}</code>;
    case "int":
    case "float":
      return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 6 }) : text(value);
    case "timestamp":
      return timestamp(value);
    case "json":
      return <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>;
    case "table":
      return <Table value={value} />;
    case "md":
      return (
        <Suspense fallback={<pre>{text(value)}</pre>}>
          <Markdown text={text(value)} />
        </Suspense>
      );
    default:
      return <span className="metadata-text">{text(value)}</span>;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Returns whether a link to this address is safe to offer. */
export function isWebAddress(value: string): boolean {
  return /^https?:\/\//i.test(value) && URL.canParse(value);
}

function Url({ value }: { value: string }) {
  if (!isWebAddress(value)) return <code>{value}</code>;
  return (
    <a href={value} target="_blank" rel="noreferrer noopener" className="row">
      {value} <Icon name="external" size={12} />
    </a>
  );
}

/** Seconds since 1970, or a text that is a time. */
function timestamp(value: unknown): ReactNode {
  const at = typeof value === "number" ? value * 1000 : Date.parse(text(value));
  return Number.isNaN(at) ? text(value) : <time dateTime={new Date(at).toISOString()}>{dayAndTime(at)}</time>;
}

type Row = Record<string, unknown>;

/** A list of objects; or `{columns, rows}` with rows as lists. */
function Table({ value }: { value: unknown }) {
  const rows = rowsOf(value);
  if (rows === null) return <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>;
  const columns = [...new Set(rows.slice(0, TABLE_ROWS).flatMap(Object.keys))];
  return (
    <div className="metadata-table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, TABLE_ROWS).map((row, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td key={column} className={typeof row[column] === "number" ? "end" : undefined}>
                  {row[column] === undefined || row[column] === null ? "" : text(row[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > TABLE_ROWS && <p className="muted small">and {rows.length - TABLE_ROWS} more rows</p>}
    </div>
  );
}

function rowsOf(value: unknown): Row[] | null {
  if (Array.isArray(value)) return value.every(isRow) ? value : null;
  if (!isRow(value) || !Array.isArray(value.columns) || !Array.isArray(value.rows)) return null;
  const columns = value.columns.map(text);
  return value.rows.map((row: unknown) =>
    Array.isArray(row) ? Object.fromEntries(columns.map((column, index) => [column, row[index] as unknown])) : {},
  );
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
