// What surrounds every page: navigation, the state of the live connection, search, shortcuts.
import { useState, type ReactNode } from "react";
import { Link, NavLink } from "react-router";
import { useInfo, useLocations } from "../api/queries";
import { useStore } from "../feed/global";
import { routes } from "../routes";
import { Icon, Logo, type IconName } from "../ui/icons";
import { Banner, ConnectionState } from "./connection";
import { Help } from "./help";
import { useHotkeys } from "./hotkeys";
import { Palette } from "./palette";
import { nextTheme, theme, type Theme } from "./theme";
import "./shell.css";

type Overlay = "palette" | "help" | null;

export function Shell({ children }: { children: ReactNode }) {
  const [overlay, setOverlay] = useState<Overlay>(null);
  useHotkeys({ palette: () => setOverlay("palette"), help: () => setOverlay("help") });
  const close = () => setOverlay(null);
  return (
    <div className="shell">
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <TopBar onSearch={() => setOverlay("palette")} onHelp={() => setOverlay("help")} />
      <Banner />
      <main id="main" className="main" tabIndex={-1}>
        {children}
      </main>
      {overlay === "palette" && <Palette onClose={close} />}
      {overlay === "help" && <Help onClose={close} />}
    </div>
  );
}

function TopBar({ onSearch, onHelp }: { onSearch: () => void; onHelp: () => void }) {
  const info = useInfo();
  return (
    <header className="topbar">
      <Link to={routes.jobs} className="brand" title={info.data ? `Dagwire ${info.data.version}` : "Dagwire"}>
        <Logo />
        <span>Dagwire</span>
      </Link>
      <nav aria-label="Main" className="nav">
        <NavLink to={routes.jobs}>
          Jobs
          <BrokenLocations />
        </NavLink>
        <NavLink to={routes.runs}>Runs</NavLink>
        <NavLink to={routes.schedules}>Schedules</NavLink>
      </nav>
      <div className="topbar-end">
        <ConnectionState />
        <button type="button" className="search-button" onClick={onSearch}>
          <Icon name="search" size={14} />
          <span className="search-word">Search</span>
          <span className="kbd" aria-hidden="true">
            Ctrl K
          </span>
        </button>
        <ThemeButton />
        <button
          type="button"
          className="button plain icon"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={onHelp}
        >
          <span className="kbd">?</span>
        </button>
      </div>
    </header>
  );
}

function BrokenLocations() {
  const broken =
    useLocations().data?.filter(({ status }) => status === "FAILED" || status === "UNREACHABLE").length ?? 0;
  if (broken === 0) return null;
  const words = `${broken} code ${broken === 1 ? "location has" : "locations have"} a problem`;
  return (
    <span className="nav-badge" title={words}>
      <span aria-hidden="true">{broken}</span>
      <span className="visually-hidden">{words}</span>
    </span>
  );
}

const THEMES: Record<Theme, { icon: IconName; words: string }> = {
  system: { icon: "monitor", words: "Theme: as the system" },
  light: { icon: "sun", words: "Theme: light" },
  dark: { icon: "moon", words: "Theme: dark" },
};

function ThemeButton() {
  const { icon, words } = THEMES[useStore(theme)];
  return (
    <button type="button" className="button plain icon" aria-label={words} title={words} onClick={nextTheme}>
      <Icon name={icon} />
    </button>
  );
}
