// A text area with line numbers and coloured words. The text area is the real thing: selection, undo and screen
// readers work as everywhere; the colours are drawn behind it.
import { memo, useImperativeHandle, useMemo, useRef, type KeyboardEvent, type Ref } from "react";
import { tokens } from "../config/highlight";
import { cx } from "../ui/format";
import "./editor.css";

export interface EditorHandle {
  /** Puts the cursor at the start of a line, counted from 1, and scrolls to it. */
  goTo: (line: number) => void;
}

interface Props {
  value: string;
  onChange: (value: string) => void;
  label: string;
  describedBy?: string;
  /** What is wrong, by line. */
  faults: ReadonlyMap<number, string>;
  placeholder?: string;
  ref?: Ref<EditorHandle>;
}

export function Editor({ value, onChange, label, describedBy, faults, placeholder, ref }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => value.split("\n"), [value]);
  useImperativeHandle(ref, () => ({
    goTo(line) {
      const offset = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
      area.current?.focus();
      area.current?.setSelectionRange(offset, offset + (lines[line - 1]?.length ?? 0));
      box.current?.querySelector(`[data-line="${line}"]`)?.scrollIntoView({ block: "nearest" });
    },
  }));
  return (
    <div className="editor" ref={box}>
      <div className="editor-sheet">
        <div className="editor-paint" aria-hidden="true">
          {lines.map((text, index) => (
            <Line key={index} number={index + 1} text={text} fault={faults.get(index + 1)} />
          ))}
        </div>
        <textarea
          ref={area}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={onKeyDown}
          aria-label={label}
          aria-invalid={faults.size > 0}
          aria-describedby={describedBy}
          placeholder={placeholder}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          wrap="off"
        />
      </div>
    </div>
  );
}

const Line = memo(function Line({ number, text, fault }: { number: number; text: string; fault: string | undefined }) {
  return (
    <div className={cx("editor-line", fault !== undefined && "faulty")} data-line={number} title={fault}>
      <span className="editor-number">{number}</span>
      <span className="editor-text">
        {tokens(text).map((token, index) => (
          <span key={index} className={`tok-${token.kind}`}>
            {token.text}
          </span>
        ))}
        {"\n"}
      </span>
    </div>
  );
});

const INDENT = "  ";

/** Enter keeps the indentation, Tab indents. Escape first lets Tab leave the field. */
function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const area = event.currentTarget;
  const typed = event.key === "Enter" ? newLine(area) : event.key === "Tab" && indents(event) ? INDENT : null;
  if (event.key === "Escape") area.dataset.leaving = "";
  else if (event.key !== "Tab" && event.key !== "Shift") delete area.dataset.leaving;
  if (typed === null) return;
  event.preventDefault();
  insert(typed);
}

function indents({ shiftKey, currentTarget: area }: KeyboardEvent<HTMLTextAreaElement>): boolean {
  return !shiftKey && area.dataset.leaving === undefined && area.selectionStart === area.selectionEnd;
}

function newLine({ value, selectionStart }: HTMLTextAreaElement): string {
  const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
  const deeper = /[:{[]\s*$/.test(line) ? INDENT : "";
  return "\n" + (/^\s*/.exec(line)?.[0] ?? "") + deeper;
}

/** As if typed, so that it can be undone. There is no other way to keep a text area's undo history. */
function insert(text: string) {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- see above
  document.execCommand("insertText", false, text);
}
