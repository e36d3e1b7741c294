import { useState } from "react";
import type { Tags as TagMap } from "../../api/types";
import { Icon } from "../../ui/icons";
import { readTag } from "./draft";

export function Tags({ tags, onChange }: { tags: TagMap; onChange: (tags: TagMap) => void }) {
  const [text, setText] = useState("");
  const add = () => {
    const tag = readTag(text);
    if (tag === null) return;
    onChange({ ...tags, [tag[0]]: tag[1] });
    setText("");
  };
  return (
    <div className="tags-editor">
      <span className="muted small">Tags</span>
      {Object.entries(tags).map(([name, value]) => (
        <span key={name} className="tag tag-drop">
          {value === "" ? name : `${name}: ${value}`}
          <button
            type="button"
            aria-label={`Remove the tag ${name}`}
            onClick={() => onChange(Object.fromEntries(Object.entries(tags).filter(([other]) => other !== name)))}
          >
            <Icon name="cross" size={11} />
          </button>
        </span>
      ))}
      <input
        className="input small"
        aria-label="Add a tag, as name=value"
        placeholder="name=value"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onBlur={add}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          add();
        }}
      />
    </div>
  );
}
