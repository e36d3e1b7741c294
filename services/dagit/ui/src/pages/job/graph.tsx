// The op graph of a job with what is selected in it; graphs inside it open in place.
import { useMemo, useState } from "react";
import type { Job, Node } from "../../api/types";
import { GraphView } from "../../graph/graph";
import type { GraphEdge } from "../../graph/layout";
import { count } from "../../ui/format";
import { Icon } from "../../ui/icons";
import { Empty } from "../../ui/parts";
import { OpDetails } from "./details";

export function JobGraph({ job }: { job: Job }) {
  const [trail, setTrail] = useState<readonly string[]>([]);
  const [selected, setSelected] = useState<string | null>(null);
  const nodes = useMemo(() => inside(job.nodes, trail), [job.nodes, trail]);
  const edges = useMemo(() => edgesOf(nodes), [nodes]);
  const drawn = useMemo(() => nodes.map(drawnNode), [nodes]);
  const node = nodes.find(({ name }) => name === selected);
  const go = (to: readonly string[]) => {
    setTrail(to);
    setSelected(null);
  };
  if (job.nodes.length === 0) return <Empty title="This job has no ops" />;
  return (
    <>
      <div className="job-graph-bar">
        <span className="row">
          <button type="button" className="link" disabled={trail.length === 0} onClick={() => go([])}>
            {job.name}
          </button>
          {trail.map((name, depth) => (
            <span key={name} className="row">
              <Icon name="chevron" size={11} />
              <button type="button" className="link" onClick={() => go(trail.slice(0, depth + 1))}>
                {name}
              </button>
            </span>
          ))}
        </span>
        <span className="muted small">
          {count(nodes.length, "op")} · {job.executor} executor
        </span>
      </div>
      <div className="job-canvas">
        <GraphView
          key={trail.join(".")}
          label={`Graph of ${trail.at(-1) ?? job.name}`}
          nodes={drawn}
          edges={edges}
          selected={selected}
          onSelect={setSelected}
          onOpen={(name) => go([...trail, name])}
        />
        {node && (
          <OpDetails
            node={node}
            resources={job.resources}
            onClose={() => setSelected(null)}
            onOpen={node.nodes.length > 0 ? () => go([...trail, node.name]) : null}
          />
        )}
      </div>
    </>
  );
}

function drawnNode(node: Node) {
  const deep = node.nodes.length > 0;
  const sub = deep ? count(node.nodes.length, "op") : node.definition === node.name ? "" : node.definition;
  return { id: node.name, label: node.name, deep, ...(sub ? { sub } : {}) };
}

function inside(nodes: readonly Node[], trail: readonly string[]): readonly Node[] {
  let at = nodes;
  for (const name of trail) at = at.find((node) => node.name === name)?.nodes ?? [];
  return at;
}

function edgesOf(nodes: readonly Node[]): GraphEdge[] {
  return nodes.flatMap((node) => {
    const sources = new Set(node.inputs.flatMap(({ upstream }) => upstream.map((output) => output.node)));
    return [...sources].map((from) => ({ from, to: node.name }));
  });
}
