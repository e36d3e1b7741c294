import { expect, test } from "vitest";
import { parse, withDefaults, write } from "./document";

const TEXT = `ops:
  load:
    config:
      city: Seattle
      days: [1, 2]
`;

test("YAML and JSON are read alike", () => {
  const value = { ops: { load: { config: { city: "Seattle", days: [1, 2] } } } };
  expect(parse(TEXT).value).toEqual(value);
  expect(parse(JSON.stringify(value)).value).toEqual(value);
  expect(parse(write(value, "yaml")).value).toEqual(value);
  expect(parse(write(value, "json")).value).toEqual(value);
});

test("no text is no config, in both directions", () => {
  expect(parse("").value).toEqual({});
  expect(parse("# only a comment\n").value).toEqual({});
  expect(write({}, "yaml")).toBe("");
});

test("a path is found where it is written, or else the nearest thing above it", () => {
  const { lineOf } = parse(TEXT);
  expect(lineOf(["ops", "load", "config", "city"])).toBe(4);
  expect(lineOf(["ops", "load", "config", "days", "1"])).toBe(5);
  expect(lineOf(["ops", "load", "config", "limit"])).toBe(3);
  expect(lineOf(["resources"])).toBe(1);
  expect(lineOf([])).toBe(1);
});

test("a syntax error names its line", () => {
  const { value, problems } = parse("ops:\n  load: [1\n");
  expect(value).toBeNull();
  expect(problems[0]?.line).toBeGreaterThanOrEqual(2);
});

test("the same key twice is an error, not a surprise", () => {
  expect(parse("a: 1\na: 2\n").problems[0]?.message).toMatch(/unique/i);
});

test("a list or a word is no config", () => {
  expect(parse("- a\n").problems[0]?.message).toMatch(/mapping/);
  expect(parse("seattle").value).toBeNull();
});

test("an integer that the browser would change is refused", () => {
  expect(parse("id: 9007199254740993").problems[0]?.message).toMatch(/9007199254740993.*quotes/);
  expect(parse('id: "9007199254740993"').value).toEqual({ id: "9007199254740993" });
  expect(parse("a: 1.5e300\nb: 12").value).toEqual({ a: 1.5e300, b: 12 });
});

test("yes and dates stay text", () => {
  expect(parse("a: yes\nb: 2024-01-01").value).toEqual({ a: "yes", b: "2024-01-01" });
});

test("an alias is refused, as JSON knows none", () => {
  expect(parse("a: &x {b: 1}\nc: *x").problems[0]).toMatchObject({ line: 2 });
});

test("defaults fill what is left out and change nothing that is said", () => {
  const config = { ops: { load: { config: { city: "Rome" } } }, list: [1] };
  const defaults = { ops: { load: { config: { city: "Seattle", limit: null } }, clean: {} }, list: [1, 2] };
  expect(withDefaults(config, defaults)).toEqual({
    ops: { load: { config: { city: "Rome", limit: null } }, clean: {} },
    list: [1],
  });
});
