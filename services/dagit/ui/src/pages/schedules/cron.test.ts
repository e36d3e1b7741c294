import { expect, test } from "vitest";
import { cronWords } from "./cron";

test.each([
  ["0 6 * * *", "At 06:00, every day"],
  ["0 6,18 * * *", "At 06:00 and 18:00, every day"],
  ["30 6 * * 1-5", "At 06:30, Monday through Friday"],
  ["*/5 * * * *", "Every 5 minutes"],
  ["* * * * * *", "Every second"],
  ["whatever this is", "whatever this is"],
])("%s is told as %s", (rule, words) => {
  expect(cronWords(rule)).toBe(words);
});
