// A graph of ops or steps, drawn in layers; walked with the arrow keys.
import { useMemo, type KeyboardEvent } from "react";
import { cx } from "../ui/format";
import { Icon } from "../ui/icons";
import type { Look } from "../ui/status";
import {
  fitting,
  layout,
  neighbour,
  type Arrow,
  type GraphEdge,
  type GraphNode,
  type Layout,
  type Placed,
} from "./layout";
import { useSize, useViewport } from "./viewport";
import "./graph.css";

export interface DrawnNode extends GraphNode {
  look?: Look;
  /** It holds a graph of its own. */
  deep?: boolean;
}

interface Props {
  label: string;
  nodes: readonly DrawnNode[];
  edges: readonly GraphEdge[];
  selected: string | null;
  onSelect: (id: string | null) => void;
  onOpen?: (id: string) => void;
}

export function GraphView({ label, nodes, edges, selected, onSelect, onOpen }: Props) {
  const { ref, element, first, size } = useSize();
  // A panel that opens beside the graph must not turn it around.
  const shape = first ? first.width / Math.max(first.height, 1) : null;
  // The layout depends on the nodes' names, not on how they are doing.
  const names = JSON.stringify([
    nodes.map(({ id, label, sub, look }) => ({ id, label, sub, dotted: look !== undefined })),
    edges,
  ]);
  const placed = useMemo(() => {
    const [ids, lines] = JSON.parse(names) as [GraphNode[], GraphEdge[]];
    return shape === null ? null : layout(ids, lines, shape);
  }, [names, shape]);
  const { view, pointer, zoomBy, reset } = useViewport(placed ?? { width: 1, height: 1 }, size, element);
  const onKeyDown = (event: KeyboardEvent) => {
    if (placed === null || !event.key.startsWith("Arrow")) return;
    const from = selected ?? nodes[0]?.id;
    const to = selected === null ? from : from && neighbour(placed, from, event.key as Arrow);
    event.preventDefault();
    if (!to) return;
    onSelect(to);
    element?.querySelector<SVGElement>(`[data-node="${CSS.escape(to)}"]`)?.focus();
  };
  return (
    <div ref={ref} className="graph" role="group" aria-label={label} onKeyDown={onKeyDown}>
      {placed && size && (
        <svg width={size.width} height={size.height} {...pointer} onClick={() => onSelect(null)}>
          <g transform={`translate(${view.x} ${view.y}) scale(${view.scale})`}>
            <Edges layout={placed} selected={selected} />
            {nodes.map((node) => {
              const at = placed.nodes.get(node.id);
              return (
                at && (
                  <NodeBox
                    key={node.id}
                    node={node}
                    at={at}
                    selected={node.id === selected}
                    onSelect={() => onSelect(node.id)}
                    onOpen={onOpen}
                  />
                )
              );
            })}
          </g>
        </svg>
      )}
      <div className="graph-tools">
        <button type="button" className="button icon small" aria-label="Zoom in" onClick={() => zoomBy(1.25)}>
          <Icon name="plus" size={13} />
        </button>
        <button type="button" className="button icon small" aria-label="Zoom out" onClick={() => zoomBy(0.8)}>
          <Icon name="minus" size={13} />
        </button>
        <button type="button" className="button icon small" aria-label="Show everything" onClick={reset}>
          <Icon name="fit" size={13} />
        </button>
      </div>
    </div>
  );
}

function Edges({ layout, selected }: { layout: Layout; selected: string | null }) {
  return (
    <>
      {layout.edges.map(({ from, to, path }) => (
        <path
          key={`${from} ${to}`}
          d={path}
          className={cx("graph-edge", (from === selected || to === selected) && "near")}
        />
      ))}
    </>
  );
}

interface BoxProps {
  node: DrawnNode;
  at: Placed;
  selected: boolean;
  onSelect: () => void;
  onOpen: ((id: string) => void) | undefined;
}

function NodeBox({ node, at, selected, onSelect, onOpen }: BoxProps) {
  const { width, height } = at;
  const left = node.look ? 32 : 16;
  const open = node.deep && onOpen ? () => onOpen(node.id) : null;
  const words = [node.label, node.sub, node.look?.label, node.deep && "graph, Enter opens it"]
    .filter(Boolean)
    .join(", ");
  return (
    <g
      transform={`translate(${at.x - width / 2} ${at.y - height / 2})`}
      className={cx("graph-node", node.look && `tone-${node.look.tone}`, selected && "selected", node.deep && "deep")}
      data-node={node.id}
      data-status={node.look?.label}
      role="button"
      tabIndex={0}
      aria-pressed={selected}
      aria-label={words}
      onClick={(event) => {
        event.stopPropagation();
        onSelect();
      }}
      onDoubleClick={() => open?.()}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        if (selected && open) open();
        else onSelect();
      }}
    >
      {node.deep && <rect className="graph-behind" x={4} y={4} width={width} height={height} rx={9} />}
      <rect className="graph-box" width={width} height={height} rx={9} />
      {node.look && <circle className="graph-status" cx={18} cy={height / 2} r={4.5} />}
      <text x={left} y={node.sub ? height / 2 - 3 : height / 2 + 4.5}>
        {fitting(node.label, width, node.look !== undefined)}
      </text>
      {node.sub && (
        <text x={left} y={height / 2 + 13} className="graph-sub">
          {fitting(node.sub, width * 1.1, node.look !== undefined)}
        </text>
      )}
      <title>{words}</title>
    </g>
  );
}
