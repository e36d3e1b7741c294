// Where the nodes of a graph are drawn: layers by dagre, along whichever axis fits the space better. Pure.
import { Graph, layout as dagre } from "@dagrejs/dagre";

export interface GraphNode {
  id: string;
  label: string;
  /** A second, smaller line. */
  sub?: string;
  /** It has a dot that shows how it is. */
  dotted?: boolean;
}

export interface GraphEdge {
  from: string;
  to: string;
}

export interface Placed {
  id: string;
  /** The centre. */
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  nodes: ReadonlyMap<string, Placed>;
  edges: readonly (GraphEdge & { path: string })[];
  width: number;
  height: number;
  direction: Direction;
}

type Direction = "LR" | "TB";
interface Point {
  x: number;
  y: number;
}

const CHARACTER = 7.3;
const PADDING = 30;
const DOT = 16;
const WIDEST = 240;
const LARGE = 250;

/** Lays the graph out for a space of this shape (width through height). */
export function layout(nodes: readonly GraphNode[], edges: readonly GraphEdge[], shape: number): Layout {
  const down = place(nodes, edges, "TB");
  if (nodes.length > LARGE) return down;
  const across = place(nodes, edges, "LR");
  return scale(across, shape) > scale(down, shape) ? across : down;
}

/** How large it can be drawn in a space of height 1. */
function scale({ width, height }: Layout, shape: number): number {
  return Math.min(shape / width, 1 / height);
}

function place(nodes: readonly GraphNode[], edges: readonly GraphEdge[], direction: Direction): Layout {
  const graph = new Graph();
  graph.setGraph({ rankdir: direction, nodesep: direction === "TB" ? 28 : 18, ranksep: direction === "TB" ? 46 : 56 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map(({ id }) => id));
  for (const node of nodes) graph.setNode(node.id, { width: widthOf(node), height: node.sub ? 50 : 40 });
  for (const { from, to } of edges) if (known.has(from) && known.has(to)) graph.setEdge(from, to);
  dagre(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const placed = nodes.map(({ id }) => ({ id, ...(graph.node(id) as Omit<Placed, "id">) }));
  const byId = new Map(placed.map((node) => [node.id, node]));
  return {
    nodes: byId,
    edges: graph.edges().map(({ v: from, w: to }) => {
      const between = (graph.edge(from, to) as { points: Point[] }).points.slice(1, -1);
      return { from, to, path: curve(ends(byId.get(from), byId.get(to), between, direction), direction) };
    }),
    width: Math.max(width, 1),
    height: Math.max(height, 1),
    direction,
  };
}

function widthOf({ label, sub = "", dotted = false }: GraphNode): number {
  const longest = Math.max(label.length * CHARACTER, sub.length * CHARACTER * 0.86);
  return Math.min(WIDEST, Math.max(96, Math.round(longest) + PADDING + (dotted ? DOT : 0)));
}

/** From the middle of a side to the middle of the opposite side, around what lies between. */
function ends(from: Placed | undefined, to: Placed | undefined, between: Point[], direction: Direction): Point[] {
  if (from === undefined || to === undefined) return [];
  // A line to the next layer needs no bend of its own.
  const bends = between.length > 1 ? between : [];
  if (direction === "TB") {
    return [{ x: from.x, y: from.y + from.height / 2 }, ...bends, { x: to.x, y: to.y - to.height / 2 }];
  }
  return [{ x: from.x + from.width / 2, y: from.y }, ...bends, { x: to.x - to.width / 2, y: to.y }];
}

/** A smooth line through the points that leaves and arrives along the axis. */
function curve(points: readonly Point[], direction: Direction): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let path = `M${round(first.x)},${round(first.y)}`;
  let from = first;
  for (const to of rest) {
    const x = (from.x + to.x) / 2;
    const y = (from.y + to.y) / 2;
    const controls = direction === "TB" ? [from.x, y, to.x, y] : [x, from.y, x, to.y];
    path += `C${controls.map(round).join(",")},${round(to.x)},${round(to.y)}`;
    from = to;
  }
  return path;
}

const round = (value: number) => Math.round(value * 10) / 10;

/** How many characters of a node's label fit. */
export const fitting = (text: string, width: number, dotted: boolean) => {
  const room = Math.floor((width - PADDING - (dotted ? DOT : 0) + 8) / CHARACTER);
  return text.length <= room ? text : text.slice(0, room - 1) + "…";
};

export type Arrow = "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight";

/** Returns the node that an arrow key leads to: along an edge if there is one, else the nearest that way. */
export function neighbour(layout: Layout, from: string, arrow: Arrow): string | null {
  const start = layout.nodes.get(from);
  if (start === undefined) return null;
  const [dx, dy] = STEPS[arrow];
  const ways = [...layout.nodes.values()].map((node) => {
    const [x, y] = [node.x - start.x, node.y - start.y];
    return { id: node.id, ahead: x * dx + y * dy, aside: Math.abs(x * dy + y * dx) };
  });
  const there = ways.filter(({ ahead, aside }) => ahead > 4 && aside <= ahead);
  const along = (layout.direction === "TB") === (dx === 0);
  const linked = along ? ways.filter(({ id, ahead }) => ahead > 4 && isLinked(layout, from, id)) : [];
  const nearest = (linked.length > 0 ? linked : there).sort(
    (one, other) => one.ahead + 2 * one.aside - other.ahead - 2 * other.aside,
  );
  return nearest[0]?.id ?? null;
}

function isLinked(layout: Layout, one: string, other: string): boolean {
  return layout.edges.some(({ from, to }) => (from === one && to === other) || (from === other && to === one));
}

const STEPS: Record<Arrow, readonly [number, number]> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};
