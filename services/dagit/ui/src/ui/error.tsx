// An exception with its chain of causes, as Dagwire records it.
import { Fragment } from "react";
import type { ErrorInfo } from "../api/types";
import { Icon } from "./icons";
import "./error.css";

export function ErrorChain({ error, open = true }: { error: ErrorInfo; open?: boolean }) {
  const chain = causes(error);
  return (
    <div className="error-chain">
      {chain.map((link, depth) => (
        <Fragment key={depth}>
          {depth > 0 && <p className="error-because">caused by</p>}
          <Exception error={link} open={open && depth === chain.length - 1} />
        </Fragment>
      ))}
    </div>
  );
}

function Exception({ error, open }: { error: ErrorInfo; open: boolean }) {
  const frames = error.stack ?? [];
  return (
    <div className="error-link">
      <p className="error-message">
        <strong>{error.type}</strong>
        {error.message && <>: {error.message}</>}
      </p>
      {frames.length > 0 && (
        <details open={open}>
          <summary>
            <Icon name="chevron" size={12} /> Trace, {frames.length} {frames.length === 1 ? "frame" : "frames"}
          </summary>
          <pre tabIndex={0}>{frames.map((frame) => frame.trimEnd().replace(/^ {2}/gm, "")).join("\n")}</pre>
        </details>
      )}
    </div>
  );
}

function causes(error: ErrorInfo): ErrorInfo[] {
  const chain: ErrorInfo[] = [];
  for (let link: ErrorInfo | null = error; link !== null && chain.length < 32; link = link.cause) chain.push(link);
  return chain;
}
