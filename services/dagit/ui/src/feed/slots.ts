// Keeps open tabs within the browser's six connections per host: a tab that is seen is always connected, of the
// hidden ones only a few.

const HIDDEN_TABS = 2;

/** Calls back with whether this tab may hold a connection, now and whenever that changes. Returns a stop function. */
export function whenConnected(change: (allowed: boolean) => void): () => void {
  let release: (() => void) | null = null;
  let stopped = false;

  const letGo = () => {
    release?.();
    release = null;
  };
  const decide = async () => {
    if (document.visibilityState === "visible") {
      letGo();
      change(true);
      return;
    }
    const slot = await takeSlot();
    if (stopped || isVisible()) slot?.();
    else {
      release = slot;
      change(slot !== null);
    }
  };
  const onVisibility = () => void decide();

  document.addEventListener("visibilitychange", onVisibility);
  onVisibility();
  return () => {
    stopped = true;
    letGo();
    document.removeEventListener("visibilitychange", onVisibility);
  };
}

const isVisible = () => document.visibilityState === "visible";

/** Takes one of the hidden tabs' places; null if all are taken, or the browser cannot share them between tabs. */
async function takeSlot(): Promise<(() => void) | null> {
  if (!("locks" in navigator)) return null;
  for (let slot = 1; slot <= HIDDEN_TABS; slot += 1) {
    const release = await tryLock(`dagwire-feed-${slot}`);
    if (release !== null) return release;
  }
  return null;
}

function tryLock(name: string): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    const held = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) {
        resolve(null);
        return undefined;
      }
      return new Promise<void>((release) => {
        resolve(release);
      });
    });
    held.catch(() => {
      resolve(null);
    });
  });
}
