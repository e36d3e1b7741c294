import type { Field } from "../../config/schema";
import { cx } from "../../ui/format";

/** The fields of a config: what may be written, of which type, and what holds if it is left out. */
export function FieldList({ fields }: { fields: Field[] }) {
  return (
    <ul className="fields">
      {fields.map((field) => (
        <li key={field.path} className={cx(field.group && "field-group")} data-depth={Math.min(field.depth, 6)}>
          <code>{field.name}</code>
          {field.type && <span className="port-type mono">{field.type}</span>}
          {field.required && <span className="tag field-required">required</span>}
          {field.fallback !== null && <span className="muted small">default {field.fallback}</span>}
          {field.description && <p className="muted small">{field.description}</p>}
        </li>
      ))}
    </ul>
  );
}
