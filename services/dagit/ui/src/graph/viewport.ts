// Panning and zooming of a drawing: it fits its space until somebody moves it.
import { useEffect, useRef, useState, type MouseEvent, type PointerEvent } from "react";

export interface View {
  x: number;
  y: number;
  scale: number;
}

interface Size {
  width: number;
  height: number;
}

const SMALLEST = 0.15;
const LARGEST = 2.5;
const MARGIN = 28;

/** The largest view, no larger than life, that shows everything. */
export function fit(content: Size, space: Size): View {
  const room = (total: number) => Math.max(total - 2 * MARGIN, 1);
  const scale = Math.min(1.1, room(space.width) / content.width, room(space.height) / content.height);
  return {
    scale,
    x: (space.width - content.width * scale) / 2,
    y: (space.height - content.height * scale) / 2,
  };
}

/** Zooms around a point of the space that stays where it is. */
export function zoom(view: View, factor: number, at: { x: number; y: number }): View {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/** The size of an element, as it changes and as it was at first. */
export function useSize() {
  const [element, ref] = useState<HTMLElement | null>(null);
  const [sizes, setSizes] = useState<{ first: Size; now: Size } | null>(null);
  useEffect(() => {
    if (element === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const now = { width: entry.contentRect.width, height: entry.contentRect.height };
      setSizes((before) => ({ first: before?.first ?? now, now }));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return { ref, element, first: sizes?.first ?? null, size: sizes?.now ?? null };
}

export function useViewport(content: Size, space: Size | null, element: HTMLElement | null) {
  const [moved, setMoved] = useState<View | null>(null);
  const view = moved ?? (space ? fit(content, space) : { x: 0, y: 0, scale: 1 });
  const drag = useRef<{ x: number; y: number; view: View } | null>(null);
  const dragged = useRef(false);

  const zoomBy = (factor: number) => {
    if (space) setMoved(zoom(view, factor, { x: space.width / 2, y: space.height / 2 }));
  };
  useWheel(element, (event) => {
    const box = element?.getBoundingClientRect();
    const at = { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
    setMoved(zoom(view, Math.exp(-event.deltaY * 0.004), at));
  });
  const pointer = {
    onPointerDown(event: PointerEvent) {
      dragged.current = false;
      if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, view };
    },
    onPointerMove(event: PointerEvent) {
      const start = drag.current;
      if (start === null) return;
      const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
      if (Math.hypot(dx, dy) < 4) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      dragged.current = true;
      setMoved({ ...start.view, x: start.view.x + dx, y: start.view.y + dy });
    },
    onPointerUp() {
      drag.current = null;
    },
    onPointerCancel() {
      drag.current = null;
    },
    /** The end of a drag is no click. */
    onClickCapture(event: MouseEvent) {
      if (dragged.current) event.stopPropagation();
    },
  };
  return { view, pointer, zoomBy, reset: () => setMoved(null) };
}

/** Pinching and Ctrl with the wheel zoom; the plain wheel scrolls the page. React's own listener could not refuse it. */
function useWheel(element: HTMLElement | null, onZoom: (event: WheelEvent) => void) {
  const latest = useRef(onZoom);
  useEffect(() => {
    latest.current = onZoom;
  });
  useEffect(() => {
    if (element === null) return;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      latest.current(event);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [element]);
}
