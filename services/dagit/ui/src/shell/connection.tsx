// How the live connection is: a word in the bar, and a banner when it has been away for a moment.
import { useEffect, useState } from "react";
import type { FeedStatus } from "../feed/follow";
import { useFeed, useStore } from "../feed/global";
import { Icon } from "../ui/icons";
import type { Tone } from "../ui/status";

const LOOKS: Record<FeedStatus, { tone: Tone; word: string; title: string }> = {
  connecting: { tone: "grey", word: "Connecting", title: "Connecting to Dagit." },
  "catching-up": { tone: "blue", word: "Catching up", title: "Reading what happened so far." },
  live: { tone: "green", word: "Live", title: "Everything that happens is shown as it happens." },
  reconnecting: { tone: "amber", word: "Reconnecting", title: "The connection is lost; nothing will be missed." },
  paused: { tone: "grey", word: "Paused", title: "Paused while the tab is hidden; nothing will be missed." },
};

export function ConnectionState() {
  const { status } = useStore(useFeed().connection);
  const { tone, word, title } = LOOKS[status];
  return (
    <span className={`connection tone-${tone}`} data-status={status} title={title} role="status">
      <span className="connection-dot" />
      {word}
    </span>
  );
}

const PATIENCE_MS = 1500;

export function Banner() {
  const { status, reason, retry } = useStore(useFeed().connection);
  const lost = status === "reconnecting";
  const shown = useLasting(lost, PATIENCE_MS);
  if (!shown) return null;
  return (
    <div className="banner" role="alert">
      <Icon name="alert" />
      <span className="grow">
        <strong>{reason === null ? "Dagit cannot be reached." : `Nothing is live now: ${reason}`}</strong> This page
        tries again by itself and then shows what it missed
        {reason === null && <>; if that does not happen, check that Dagit runs at {location.host}</>}.
      </span>
      <button type="button" className="button small" onClick={retry}>
        Try now
      </button>
    </div>
  );
}

/** True once `value` has been true for some time. */
function useLasting(value: boolean, ms: number): boolean {
  const [since, setSince] = useState(false);
  useEffect(() => {
    if (!value) return;
    const timer = setTimeout(() => setSince(true), ms);
    return () => {
      clearTimeout(timer);
      setSince(false);
    };
  }, [value, ms]);
  return value && since;
}
