// Light, dark, or as the system says; remembered in this browser.
import { createStore } from "../feed/store";

export type Theme = "system" | "light" | "dark";

const KEY = "dagwire.theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

const chosen = document.documentElement.dataset.theme;
export const theme = createStore<Theme>(chosen === "light" || chosen === "dark" ? chosen : "system");

export function nextTheme() {
  const next = NEXT[theme.get()];
  theme.set(next);
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
