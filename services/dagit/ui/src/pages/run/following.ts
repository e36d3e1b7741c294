// Keeps the end of a growing list in sight until somebody looks back, and again once they return.
import { useEffect, useLayoutEffect, useRef, useState, type RefObject, type WheelEvent } from "react";
import type { VListHandle } from "virtua";

/** How close to the end counts as being there. */
const NEAR_PX = 30;
/** For how long after a touch of wheel, finger or key scrolling is somebody's will. */
const BY_HAND_MS = 1000;
const WHEEL_MS = 300;

/** `box` is to hold the list as its first child, with `byHand` as its listeners; `last` is the last line's index. */
export function useFollowing(list: RefObject<VListHandle | null>, last: number) {
  const [following, setFollowing] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  // Set at once: the list's own scrolling to an index goes on for a while, against whoever wants to leave.
  const toEnd = () => {
    const element = box.current?.firstElementChild;
    if (element) element.scrollTop = element.scrollHeight;
  };
  const moved = useRef(0);
  const touched = () => {
    moved.current = Date.now();
  };
  // A turn of the wheel may be undone by lines that come in before it is drawn; the will counts.
  const wheeledUp = useRef(0);
  const onWheel = (event: WheelEvent) => {
    touched();
    const element = box.current?.firstElementChild;
    if (event.deltaY >= 0 || !element || element.scrollHeight <= element.clientHeight) return;
    wheeledUp.current = Date.now();
    setFollowing(false);
  };
  const offset = useRef(0);
  // Only a person stops the following, by going up: lines that turn out higher than guessed move the list too.
  const onScroll = () => {
    const at = list.current;
    if (at === null) return;
    const up = at.scrollOffset < offset.current;
    offset.current = at.scrollOffset;
    const near = at.scrollSize - at.viewportSize - at.scrollOffset < NEAR_PX;
    const back = near && !up && Date.now() - wheeledUp.current > WHEEL_MS;
    if (up && Date.now() - moved.current < BY_HAND_MS) setFollowing(false);
    else if (back) setFollowing(true);
    else if (following) toEnd();
  };
  useLayoutEffect(() => {
    if (following && last >= 0) toEnd();
  }, [following, last]);
  const goToEnd = () => {
    moved.current = 0;
    wheeledUp.current = 0;
    setFollowing(true);
    toEnd();
  };
  useEndKey(goToEnd);
  const byHand = { onWheel, onTouchMove: touched, onPointerDown: touched, onKeyDown: touched };
  return { box, following, goToEnd, onScroll, byHand };
}

function useEndKey(end: () => void) {
  const latest = useRef(end);
  useEffect(() => {
    latest.current = end;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, dialog");
      if (event.key === "End" && !typing) latest.current();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
