import { expect, test } from "vitest";
import { layout, neighbour } from "./layout";

const node = (id: string) => ({ id, label: id });
const diamond = [
  { from: "a", to: "b" },
  { from: "a", to: "c" },
  { from: "b", to: "d" },
  { from: "c", to: "d" },
];
const nodes = ["a", "b", "c", "d"].map(node);

test("what depends on something lies below it in a high space, and right of it in a wide one", () => {
  const high = layout(nodes, diamond, 0.3).nodes;
  const wide = layout(nodes, diamond, 5).nodes;
  expect(high.get("d")?.y).toBeGreaterThan(high.get("b")?.y ?? Infinity);
  expect(wide.get("d")?.x).toBeGreaterThan(wide.get("b")?.x ?? Infinity);
});

test("nodes do not overlap and lie within the drawing", () => {
  const { nodes: placed, width, height } = layout(nodes, diamond, 1);
  const [b, c] = [placed.get("b"), placed.get("c")];
  const apart = Math.abs((b?.x ?? 0) - (c?.x ?? 0)) + Math.abs((b?.y ?? 0) - (c?.y ?? 0));
  expect(apart).toBeGreaterThan(40);
  for (const { x, y, width: w, height: h } of placed.values()) {
    expect(x - w / 2).toBeGreaterThanOrEqual(-0.5);
    expect(x + w / 2).toBeLessThanOrEqual(width + 0.5);
    expect(y + h / 2).toBeLessThanOrEqual(height + 0.5);
  }
});

test("an edge to a node that is not there is left out", () => {
  expect(layout([node("a")], [{ from: "gone", to: "a" }], 1).edges).toEqual([]);
});

test("no nodes are an empty drawing", () => {
  expect(layout([], [], 1).nodes.size).toBe(0);
});

test("the arrow keys walk to what lies there", () => {
  const placed = layout(nodes, diamond, 0.3);
  expect(["b", "c"]).toContain(neighbour(placed, "a", "ArrowDown"));
  expect(neighbour(placed, "d", "ArrowDown")).toBeNull();
  const aside = neighbour(placed, "b", "ArrowRight") ?? neighbour(placed, "b", "ArrowLeft");
  expect(["c"]).toContain(aside);
});
