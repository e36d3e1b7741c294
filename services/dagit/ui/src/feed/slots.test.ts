// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { whenConnected } from "./slots";

/** The browser's locks, as far as they are used: shared by all tabs. */
function fakeLocks() {
  const held = new Set<string>();
  return {
    held,
    async request(name: string, _: unknown, act: (lock: object | null) => Promise<void> | undefined) {
      if (held.has(name)) return act(null);
      held.add(name);
      await act({ name });
      held.delete(name);
    },
  };
}

let locks: ReturnType<typeof fakeLocks>;
const stops: (() => void)[] = [];

beforeEach(() => {
  locks = fakeLocks();
  Object.defineProperty(navigator, "locks", { value: locks, configurable: true });
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  vi.restoreAllMocks();
});

function look(visible: boolean) {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(visible ? "visible" : "hidden");
  document.dispatchEvent(new Event("visibilitychange"));
}

async function tab() {
  const allowed: boolean[] = [];
  stops.push(whenConnected((may) => allowed.push(may)));
  await settled();
  return allowed;
}

const settled = () => new Promise((resume) => setTimeout(resume));

test("a tab that is seen is connected, however many others are", async () => {
  locks.held.add("dagwire-feed-1").add("dagwire-feed-2");
  look(true);
  expect(await tab()).toEqual([true]);
});

test("of the hidden tabs two stay connected, the others let go", async () => {
  look(false);
  const tabs = [await tab(), await tab(), await tab()];
  expect(tabs).toEqual([[true], [true], [false]]);
});

test("a tab that is looked at again gives its place to another", async () => {
  look(false);
  const allowed = await tab();
  expect(locks.held.size).toBe(1);
  look(true);
  await settled();
  expect(allowed).toEqual([true, true]);
  expect(locks.held.size).toBe(0);
});

test("where tabs cannot share locks, a hidden one lets go", async () => {
  Reflect.deleteProperty(navigator, "locks");
  look(false);
  expect(await tab()).toEqual([false]);
});

test("a tab that is closed leaves its place", async () => {
  look(false);
  await tab();
  stops.pop()?.();
  await settled();
  expect(locks.held.size).toBe(0);
});
