import { expect, test } from "vitest";
import { fields } from "./schema";

test("fields are listed with type, default, description and place", () => {
  const schema = {
    type: "object",
    properties: { ops: { properties: { load: { $ref: "#/$defs/Load", description: "Reads." } } } },
    $defs: {
      Load: {
        type: "object",
        required: ["city"],
        properties: {
          city: { enum: ["Rome", "Oslo"], description: "Which one." },
          limit: { anyOf: [{ type: "integer" }, { type: "null" }], default: null },
          names: { type: "array", items: { type: "string" } },
        },
      },
    },
  };
  expect(
    fields(schema).map(({ path, depth, type, required, fallback }) => [path, depth, type, required, fallback]),
  ).toEqual([
    ["ops", 0, "", false, null],
    ["ops.load", 1, "", false, null],
    ["ops.load.city", 2, '"Rome" | "Oslo"', true, null],
    ["ops.load.limit", 2, "int | null", false, "null"],
    ["ops.load.names", 2, "list of str", false, null],
  ]);
  expect(fields(schema)[1]?.description).toBe("Reads.");
});

test("a schema that holds itself ends", () => {
  const schema = {
    $ref: "#/$defs/Tree",
    $defs: { Tree: { properties: { left: { $ref: "#/$defs/Tree" }, n: { type: "integer" } } } },
  };
  expect(fields(schema).map(({ path }) => path)).toEqual(["left", "n"]);
});

test("limits are told, and where nothing may be written is left out", () => {
  const nothing = { type: "object", additionalProperties: false, properties: {} };
  const schema = {
    properties: {
      n: { type: "integer", minimum: 1, maximum: 5 },
      empty: { ...nothing, properties: { deeper: nothing } },
      free: { type: "object" },
    },
  };
  expect(fields(schema).map(({ name, type }) => [name, type])).toEqual([
    ["n", "int 1 to 5"],
    ["free", "mapping"],
  ]);
});

test("what is no schema has no fields", () => {
  expect(fields({})).toEqual([]);
  expect(fields({ properties: [] })).toEqual([]);
});
