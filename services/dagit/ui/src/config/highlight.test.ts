import { expect, test } from "vitest";
import { tokens } from "./highlight";

const kinds = (line: string) =>
  tokens(line)
    .filter(({ text }) => text.trim() !== "")
    .map(({ kind, text }) => `${kind} ${text}`);

test("a line is coloured by what its words are", () => {
  expect(kinds("  city: Seattle # which")).toEqual(["key city", "mark :", "plain Seattle", "comment # which"]);
  expect(kinds('- "a: b": 2.5')).toEqual(["mark -", 'key "a: b"', "mark :", "number 2.5"]);
  expect(kinds("on: [true, null, 12x]")).toEqual([
    "key on",
    "mark :",
    "mark [",
    "word true",
    "mark ,",
    "word null",
    "mark ,",
    "plain 12x",
    "mark ]",
  ]);
  expect(kinds("url: http://x/#y")).toEqual(["key url", "mark :", "plain http://x/#y"]);
});

test("nothing of a line is lost, whatever it holds", () => {
  for (const line of ["", "   ", '"open', "'it''s", "a:b", "€ # ü", "{}[]:,-|>&*!", "\t\u0000"]) {
    expect(
      tokens(line)
        .map(({ text }) => text)
        .join(""),
    ).toBe(line);
  }
});
