import { expect, test } from "vitest";
import type { Job } from "../../api/types";
import { parse } from "../../config/document";
import { draftLike, draftOf, readTag, reformat, requestOf, untouched } from "./draft";

const job: Job = {
  location: "weather",
  repository: "main",
  name: "report",
  description: "",
  tags: {},
  executor: "in_process",
  container_config: null,
  nodes: [],
  resources: [],
  schedules: [],
  config_schema: {},
  default_run_config: { ops: { load: { config: { limit: 10 } } } },
  presets: [
    {
      name: "rome",
      description: "",
      run_config: { ops: { load: { config: { city: "Rome" } } } },
      tags: { city: "rome" },
    },
  ],
};
const to = { location: "weather", repository: "main", job: "report" };
const request = (draft: ReturnType<typeof draftOf>) => requestOf(job, draft, parse(draft.text));

test("untouched defaults are not written into the run", () => {
  expect(request(draftOf(job, null, "yaml"))).toEqual(to);
});

test("an untouched preset is launched by its name, with its tags", () => {
  expect(request(draftOf(job, "rome", "json"))).toEqual({ ...to, preset: "rome", tags: { city: "rome" } });
});

test("a config that was edited runs as written, so what was deleted stays deleted", () => {
  const draft = { ...draftOf(job, "rome", "yaml"), text: "ops: {}\n" };
  expect(untouched(job, draft)).toBe(false);
  expect(request(draft)).toEqual({ ...to, run_config: { ops: {} }, tags: { city: "rome" } });
});

test("another format of the same config is no edit", () => {
  const draft = reformat(draftOf(job, "rome", "yaml"), "json");
  expect(draft.text).toContain("{");
  expect(untouched(job, draft)).toBe(true);
});

test("a text that does not parse survives the change of format", () => {
  const draft = { ...draftOf(job, null, "yaml"), text: "a: [" };
  expect(reformat(draft, "json").text).toBe("a: [");
});

test("a run is launched again with what it was asked with, without the tags that Dagwire adds", () => {
  const template = { preset: "rome", run_config: {}, tags: { city: "rome", "dagwire/schedule_name": "daily" } };
  expect(request(draftLike(job, template))).toEqual({ ...to, preset: "rome", tags: { city: "rome" } });
  expect(request(draftLike(job, { preset: null, run_config: { a: 1 }, tags: {} }))).toEqual({
    ...to,
    run_config: { a: 1 },
  });
});

test("a tag is a name and, after the first equals sign, its value", () => {
  expect(readTag(" owner = mia=x ")).toEqual(["owner", "mia=x"]);
  expect(readTag("urgent")).toEqual(["urgent", ""]);
  expect(readTag("  ")).toBeNull();
});
