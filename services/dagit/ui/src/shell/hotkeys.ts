// Keys that work everywhere: g j, g r, g s, /, ?, Ctrl K.
import { useEffect, useRef } from "react";
import { useNavigate } from "react-router";
import { routes } from "../routes";

const GO: Record<string, string> = { j: routes.jobs, r: routes.runs, s: routes.schedules };
const SEQUENCE_MS = 900;

export function useHotkeys(actions: { palette: () => void; help: () => void }) {
  const navigate = useNavigate();
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => {
    let leader = 0;
    const onKey = (event: KeyboardEvent) => {
      const held = event.ctrlKey || event.metaKey;
      if (held && event.key.toLowerCase() === "k") {
        event.preventDefault();
        latest.current.palette();
      } else if (!held && !event.altKey && !typing(event.target)) plain(event);
    };
    const plain = (event: KeyboardEvent) => {
      const target = Date.now() - leader < SEQUENCE_MS ? GO[event.key] : undefined;
      leader = event.key === "g" ? Date.now() : 0;
      if (target !== undefined) void navigate(target);
      else if (event.key === "?") latest.current.help();
      else if (event.key === "/" && focusSearch()) event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate]);
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, dialog") !== null;
}

function focusSearch(): boolean {
  const field = document.querySelector<HTMLInputElement>("main [data-search]");
  field?.focus();
  field?.select();
  return field !== null;
}
