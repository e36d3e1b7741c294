import { useRef, useState } from "react";
import { api, ApiError } from "../../api/client";
import type { LaunchRequest } from "../../api/types";
import { Intent } from "../../config/intent";

/** Launches once per intent: a second press, or a retry after a lost answer, asks for the same run. */
export function useLaunch(onLaunched: (id: string) => void) {
  const intent = useRef(new Intent());
  const busy = useRef(false);
  const [pending, setPending] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const start = (request: LaunchRequest) => {
    if (busy.current) return;
    busy.current = true;
    setPending(true);
    setProblem(null);
    api
      .launch(request, intent.current.keyFor(request))
      .then(
        ({ run_id }) => {
          intent.current.settle();
          onLaunched(run_id);
        },
        (error: unknown) => setProblem(words(error)),
      )
      .finally(() => {
        busy.current = false;
        setPending(false);
      });
  };
  return { start, pending, problem };
}

function words(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  const places = error.faults.map(({ path, message }) => `${path.join(".")}: ${message}`);
  if (places.length > 0) return `${error.message} ${places.join("; ")}`;
  const unknown = error.status === 0 || error.status === 503;
  return unknown ? `${error.message} Press Launch again: it cannot start a second run.` : error.message;
}
