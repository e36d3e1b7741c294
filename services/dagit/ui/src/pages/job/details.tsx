import { lazy, Suspense } from "react";
import type { Input, Node, Output, Resource } from "../../api/types";
import { write } from "../../config/document";
import { fields } from "../../config/schema";
import { Icon } from "../../ui/icons";
import { TagList } from "../../ui/parts";
import { FieldList } from "./reference";

const Markdown = lazy(() => import("../../ui/markdown"));

interface Props {
  node: Node;
  resources: Resource[];
  onClose: () => void;
  onOpen: (() => void) | null;
}

/** What an op takes, gives and needs. */
export function OpDetails({ node, resources, onClose, onOpen }: Props) {
  const config = node.config_schema === null ? [] : fields(node.config_schema);
  return (
    <aside className="op-details" aria-label={`Op ${node.name}`}>
      <div className="row op-head">
        <h2 className="grow clip" title={node.name}>
          {node.name}
        </h2>
        {onOpen && (
          <button type="button" className="button small" onClick={onOpen}>
            Open graph
          </button>
        )}
        <button type="button" className="button plain icon small" aria-label="Close" onClick={onClose}>
          <Icon name="cross" />
        </button>
      </div>
      {node.definition !== node.name && <p className="muted small">an instance of {node.definition}</p>}
      {node.description && (
        <Suspense fallback={<p>{node.description}</p>}>
          <Markdown text={node.description} />
        </Suspense>
      )}
      <TagList tags={node.tags} />
      <Ports title="Inputs" ports={node.inputs} />
      <Ports title="Outputs" ports={node.outputs} />
      {node.required_resources.length > 0 && (
        <section>
          <h3>Resources</h3>
          <ul>
            {node.required_resources.map((name) => (
              <li key={name}>
                <code>{name}</code>{" "}
                <span className="muted small">{resources.find((one) => one.name === name)?.description}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {config.length > 0 && (
        <section>
          <h3>Config</h3>
          <FieldList fields={config} />
        </section>
      )}
      {node.container_config && (
        <section>
          <h3>Kubernetes</h3>
          <pre tabIndex={0}>{write(node.container_config, "yaml")}</pre>
        </section>
      )}
    </aside>
  );
}

function Ports({ title, ports }: { title: string; ports: (Input | Output)[] }) {
  if (ports.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <ul className="ports">
        {ports.map((port) => (
          <li key={port.name}>
            <code>{port.name}</code>
            <span className="port-type mono">{port.type}</span>
            <Remarks port={port} />
            {port.description && <p className="muted small">{port.description}</p>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Remarks({ port }: { port: Input | Output }) {
  if ("required" in port) return port.required ? null : <span className="tag">optional</span>;
  if (port.upstream.length > 0) {
    return (
      <span className="muted small">
        from {port.upstream.map(({ node, output }) => (output === "result" ? node : `${node}.${output}`)).join(", ")}
      </span>
    );
  }
  return <span className="tag">{port.has_default ? "has a default" : "from config"}</span>;
}
