// Short messages about what was just done; read aloud, gone after a while.
import { createContext, use, useCallback, useRef, useState, type ReactNode } from "react";
import { Icon } from "./icons";
import type { Tone } from "./status";

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

type Show = (tone: Tone, text: string) => void;

const ToastContext = createContext<Show>(() => undefined);
const SHOWN_MS = { green: 3500, other: 8000 };

export const useToast = () => use(ToastContext);

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const count = useRef(0);
  const drop = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const show = useCallback<Show>(
    (tone, text) => {
      count.current += 1;
      const id = count.current;
      setToasts((all) => [...all.slice(-3), { id, tone, text }]);
      setTimeout(drop, tone === "green" ? SHOWN_MS.green : SHOWN_MS.other, id);
    },
    [drop],
  );
  return (
    <ToastContext value={show}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {toasts.map(({ id, tone, text }) => (
          <div key={id} className={`toast tone-${tone}`}>
            <Icon name={tone === "green" ? "check" : "alert"} />
            <span className="grow">{text}</span>
            <button type="button" className="button plain icon small" aria-label="Dismiss" onClick={() => drop(id)}>
              <Icon name="cross" size={13} />
            </button>
          </div>
        ))}
      </div>
    </ToastContext>
  );
}
