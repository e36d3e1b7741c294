// A JSON Schema as lines of a reference: every field with its type, default and description. Pure.
import type { Config } from "../api/types";

export interface Field {
  path: string;
  name: string;
  depth: number;
  type: string;
  required: boolean;
  /** As JSON; null: there is none. */
  fallback: string | null;
  description: string;
  group: boolean;
}

/** Lists the fields of a schema, groups before what they hold. */
export function fields(schema: Config): Field[] {
  return walk(schema, schema, "", []);
}

function walk(node: Config, root: Config, prefix: string, within: readonly Config[]): Field[] {
  const properties = record(resolve(node, root).properties);
  // A schema may hold itself.
  if (within.includes(properties)) return [];
  const required = list(resolve(node, root).required);
  return Object.entries(properties).flatMap(([name, child]) => {
    const property = record(child);
    if (holdsNothing(property, root)) return [];
    const resolved = resolve(property, root);
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const below = walk(property, root, path, [...within, properties]);
    const field: Field = {
      path,
      name,
      depth: within.length,
      type: below.length > 0 ? "" : typeOf(property, root),
      required: required.includes(name),
      fallback: "default" in resolved && below.length === 0 ? JSON.stringify(resolved.default) : null,
      description: typeof resolved.description === "string" ? resolved.description : "",
      group: below.length > 0,
    };
    return [field, ...below];
  });
}

/** An object in which nothing may be written: an op that takes no config. */
function holdsNothing(node: Config, root: Config): boolean {
  const schema = resolve(node, root);
  if (schema.type !== "object" || schema.additionalProperties !== false) return false;
  return Object.values(record(schema.properties)).every((child) => holdsNothing(record(child), root));
}

/** Follows references into the document itself; what stands beside a reference wins. */
function resolve(node: Config, root: Config): Config {
  const alone = list(node.allOf);
  const inner = alone.length === 1 ? resolve(record(alone[0]), root) : {};
  if (typeof node.$ref !== "string" || !node.$ref.startsWith("#/")) return { ...inner, ...node };
  const parts = node.$ref.slice(2).split("/");
  const target = parts.reduce<unknown>(
    (at, part) => record(at)[part.replaceAll("~1", "/").replaceAll("~0", "~")],
    root,
  );
  const { $ref, ...beside } = node;
  return { ...record(target), ...beside };
}

function typeOf(node: Config, root: Config): string {
  const schema = resolve(node, root);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const choices = [...list(schema.anyOf), ...list(schema.oneOf)];
  if (choices.length > 0) return choices.map((choice) => typeOf(record(choice), root)).join(" | ");
  if (Array.isArray(schema.type)) return schema.type.join(" | ");
  if (schema.type === "array") return `list of ${typeOf(record(schema.items), root)}`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return `mapping to ${typeOf(record(schema.additionalProperties), root)}`;
  }
  return (typeof schema.type === "string" ? (WORDS[schema.type] ?? schema.type) : "anything") + limits(schema);
}

function limits({ minimum, maximum }: Config): string {
  if (typeof minimum === "number" && typeof maximum === "number") return ` ${minimum} to ${maximum}`;
  if (typeof minimum === "number") return ` from ${minimum}`;
  return typeof maximum === "number" ? ` up to ${maximum}` : "";
}

const WORDS: Record<string, string> = {
  object: "mapping",
  integer: "int",
  number: "float",
  string: "str",
  boolean: "bool",
};

function record(value: unknown): Config {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Config) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
