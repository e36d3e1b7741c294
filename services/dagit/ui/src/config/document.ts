// Run config as text: YAML (of which JSON is a part) to a value and back, and where in the text a path is. Pure.
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  stringify,
  visit,
  type Document,
  type Node,
} from "yaml";
import type { Config } from "../api/types";

export type Format = "yaml" | "json";

export interface Problem {
  /** Counted from 1. */
  line: number;
  path: string;
  message: string;
}

export interface Parsed {
  /** Null when the text is not a config. */
  value: Config | null;
  problems: Problem[];
  /** The line of what is at a path, or of the nearest thing above it. */
  lineOf: (path: readonly string[]) => number;
}

/** Reads the text. An empty one is an empty config. */
export function parse(text: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => lines.linePos(offset).line;
  const problems = [
    ...document.errors.map(({ message, pos }) => ({ line: at(pos[0]), path: "", message })),
    ...(document.errors.length > 0 ? [] : dangers(document, at)),
  ];
  const lineOf = (path: readonly string[]) => at(offsetOf(document.contents, path));
  if (problems.length > 0) return { value: null, problems, lineOf };
  const value: unknown = document.toJS();
  if (value === null || value === undefined) return { value: {}, problems, lineOf };
  if (typeof value !== "object" || Array.isArray(value)) {
    const message = "A run config is a mapping, like `ops:` with a name and its `config:` below.";
    return { value: null, problems: [{ line: 1, path: "", message }], lineOf };
  }
  return { value: value as Config, problems, lineOf };
}

/** Numbers that JSON in a browser would change without a word, and aliases, which JSON does not know. */
function dangers(document: Document, at: (offset: number) => number): Problem[] {
  const found: Problem[] = [];
  visit(document, {
    Scalar(_, node) {
      const { value, source, range } = node;
      if (typeof value !== "number" || !Number.isInteger(value) || Number.isSafeInteger(value)) return;
      if (source?.includes("e") === true || source?.includes(".") === true) return;
      const message = `${source ?? value} is too large to be kept exactly; put it in quotes.`;
      found.push({ line: at(range?.[0] ?? 0), path: "", message });
    },
    Alias(_, node) {
      found.push({
        line: at(node.range?.[0] ?? 0),
        path: "",
        message: "Aliases are not supported; write the value out.",
      });
    },
  });
  return found;
}

function offsetOf(root: Node | null, path: readonly string[]): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    const step = enter(node, part);
    if (step === null) return offset;
    offset = step.mark.range?.[0] ?? offset;
    node = step.into;
  }
  return offset;
}

/** Goes one part down: what marks the place in the text, and what is there. */
function enter(node: unknown, part: string): { mark: Node; into: unknown } | null {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
    return pair && isScalar(pair.key) ? { mark: pair.key, into: pair.value } : null;
  }
  const item = isSeq(node) ? node.items[Number(part)] : undefined;
  return isNode(item) ? { mark: item, into: item } : null;
}

/** Writes a config down; an empty one is an empty text. */
export function write(value: Config, format: Format): string {
  if (format === "json") return JSON.stringify(value, null, 2) + "\n";
  return Object.keys(value).length === 0 ? "" : stringify(value, { lineWidth: 0 });
}

/** Fills in what `config` leaves out; what it says stays. */
export function withDefaults(config: Config, defaults: Config): Config {
  const filled: Config = { ...config };
  for (const [key, value] of Object.entries(defaults)) {
    const own = filled[key];
    if (own === undefined) filled[key] = value;
    else if (isConfig(own) && isConfig(value)) filled[key] = withDefaults(own, value);
  }
  return filled;
}

function isConfig(value: unknown): value is Config {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
