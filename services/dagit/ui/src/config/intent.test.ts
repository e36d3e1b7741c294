import { expect, test } from "vitest";
import { Intent } from "./intent";

test("the same request keeps its key until it was settled", () => {
  const intent = new Intent();
  const first = intent.keyFor({ job: "a" });
  expect(first.value).toMatch(/^ui:[0-9a-f]{32}$/);
  expect(Date.parse(first.madeAt)).not.toBeNaN();
  expect(intent.keyFor({ job: "a" })).toBe(first);
  intent.settle();
  expect(intent.keyFor({ job: "a" })).not.toEqual(first);
});

test("another request is another intent", () => {
  const intent = new Intent();
  expect(intent.keyFor({ job: "a" })).not.toEqual(intent.keyFor({ job: "a", tags: { x: "y" } }));
});
