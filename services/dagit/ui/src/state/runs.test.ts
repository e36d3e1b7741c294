import { expect, test } from "vitest";
import type { Run, RunPage } from "../api/types";
import { feedOf } from "../testing/events";
import { applyNews, passes, withNews, type RunFilter } from "./runs";

const ids = ["a", "b", "c", "d"].map((letter) => `${letter.repeat(8)}-0000-5000-8000-000000000001`) as [
  string,
  string,
  string,
  string,
];
const all: RunFilter = { statuses: [], location: null, repository: null, job: null, schedule: null, tag: null };

function run(run_id: string, more: Partial<Run> = {}): Run {
  return {
    run_id,
    location: "weather",
    repository: "main",
    job: "report",
    status: "SUCCESS",
    preset: null,
    tags: {},
    requested_by: { kind: "ui", name: null },
    key: "k",
    requested_at: "2025-12-31T00:00:00Z",
    queued_at: "2025-12-31T00:00:00Z",
    launched_at: null,
    started_at: null,
    ended_at: null,
    cause: null,
    message: null,
    cursor: "1-0",
    ...more,
  };
}
const page = (runs: Run[], next: string | null = null): RunPage => ({ runs, next });
const shown = (runs: Run[]) => runs.map(({ run_id, status }) => [run_id.charAt(0), status]);

test("a run that is queued while a list is open comes on top of the first page only", () => {
  const news = applyNews(new Map(), [feedOf(ids[0]).queued()]);
  const old = page([run(ids[1])]);
  expect(shown(withNews(old, news, all, true))).toEqual([
    ["a", "QUEUED"],
    ["b", "SUCCESS"],
  ]);
  expect(shown(withNews(old, news, all, false))).toEqual([["b", "SUCCESS"]]);
});

test("a listed run moves on with the feed, and is not listed twice", () => {
  const feed = feedOf(ids[0]);
  const news = applyNews(new Map(), [feed.queued(), feed.launched(), feed.started()]);
  expect(shown(withNews(page([run(ids[0], { status: "QUEUED" })]), news, all, true))).toEqual([["a", "STARTED"]]);
});

test("older news do not undo what Dagit knows already", () => {
  const news = applyNews(new Map(), [feedOf(ids[0]).started()]);
  expect(shown(withNews(page([run(ids[0], { status: "FAILURE" })]), news, all, true))).toEqual([["a", "FAILURE"]]);
});

test("a run of which only the end is known is left to Dagit's list", () => {
  const news = applyNews(new Map(), [feedOf(ids[0]).succeeded()]);
  expect(withNews(page([]), news, all, true)).toEqual([]);
});

test("what is older than a full page belongs on a later one", () => {
  const news = applyNews(new Map(), [feedOf(ids[0]).queued()]);
  const full = page([run(ids[1], { queued_at: "2026-02-01T00:00:00Z" })], "1-9");
  expect(shown(withNews(full, news, all, true))).toEqual([["b", "SUCCESS"]]);
});

test("a run leaves a filtered list when it no longer passes", () => {
  const feed = feedOf(ids[0]);
  const active = { ...all, statuses: ["STARTED"] };
  const started = applyNews(new Map(), [feed.queued(), feed.started()]);
  expect(shown(withNews(page([]), started, active, true))).toEqual([["a", "STARTED"]]);
  expect(withNews(page([]), applyNews(started, [feed.succeeded()]), active, true)).toEqual([]);
});

test("runs are filtered by job, schedule and tag", () => {
  const one = run(ids[0], { tags: { owner: "mia=x" }, requested_by: { kind: "schedule", name: "daily" } });
  expect(passes(one, { ...all, location: "weather", repository: "main", job: "report" })).toBe(true);
  expect(passes(one, { ...all, job: "other" })).toBe(false);
  expect(passes(one, { ...all, schedule: "daily" })).toBe(true);
  expect(passes(run(ids[1]), { ...all, schedule: "daily" })).toBe(false);
  expect(passes(run(ids[1], { requested_by: { kind: "api", name: "daily" } }), { ...all, schedule: "daily" })).toBe(
    false,
  );
  expect(passes(one, { ...all, tag: "owner=mia=x" })).toBe(true);
  expect(passes(one, { ...all, tag: "owner=mia" })).toBe(false);
});

test("only so many runs are remembered, the oldest news go first", () => {
  let news = applyNews(new Map(), [feedOf(ids[0]).queued()]);
  const many = Array.from({ length: 2000 }, (_, n) => feedOf(`${n.toString(16).padStart(8, "0")}-0-0-0-0`).queued());
  news = applyNews(news, many);
  expect(news.size).toBe(2000);
  expect(news.has(ids[0])).toBe(false);
});
