// Search over pages, jobs and schedules, and a run by its id, without leaving the keyboard.
import { useMemo, useState, type KeyboardEvent } from "react";
import { useNavigate } from "react-router";
import { useJobs, useSchedules } from "../api/queries";
import type { JobHead, Schedule } from "../api/types";
import { routes } from "../routes";
import { cx } from "../ui/format";
import { Icon, type IconName } from "../ui/icons";
import { Dialog } from "../ui/parts";

interface Target {
  icon: IconName;
  name: string;
  place: string;
  to: string;
}

const PAGES: readonly Target[] = [
  { icon: "code", name: "Jobs", place: "page", to: routes.jobs },
  { icon: "play", name: "Runs", place: "page", to: routes.runs },
  { icon: "calendar", name: "Schedules", place: "page", to: routes.schedules },
  { icon: "cross", name: "Failed runs", place: "page", to: routes.runsOf({ show: "failed" }) },
  { icon: "spinner", name: "Runs in progress", place: "page", to: routes.runsOf({ show: "active" }) },
];
const SHOWN = 12;
const RUN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function Palette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const jobs = useJobs().data;
  const schedules = useSchedules().data;
  const [text, setText] = useState("");
  const [index, setIndex] = useState(0);
  const found = useMemo(() => find(text, jobs ?? [], schedules ?? []), [text, jobs, schedules]);
  const current = Math.min(index, found.length - 1);
  const open = (target: Target | undefined) => {
    if (target === undefined) return;
    onClose();
    void navigate(target.to);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") open(found[current]);
    else if (event.key === "ArrowDown") setIndex((current + 1) % found.length);
    else if (event.key === "ArrowUp") setIndex((current - 1 + found.length) % found.length);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Search" onClose={onClose} className="palette">
      <input
        autoFocus
        className="input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length > 0 ? `palette-${current}` : undefined}
        aria-label="A job, a schedule, or the id of a run"
        placeholder="A job, a schedule, or the id of a run"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setIndex(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id="palette-list" role="listbox" aria-label="Found">
        {found.map((target, at) => (
          <li
            key={target.to}
            id={`palette-${at}`}
            role="option"
            aria-selected={at === current}
            className={cx("palette-item", at === current && "current")}
            onMouseMove={() => setIndex(at)}
            onClick={() => open(target)}
          >
            <Icon name={target.icon} size={14} />
            <span className="clip">{target.name}</span>
            <span className="muted small clip">{target.place}</span>
          </li>
        ))}
        {found.length === 0 && <li className="muted palette-none">Nothing by that name.</li>}
      </ul>
    </Dialog>
  );
}

function find(text: string, jobs: readonly JobHead[], schedules: readonly Schedule[]): Target[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const id = text.trim().toLowerCase();
  if (RUN_ID.test(id)) return [{ icon: "play", name: `Run ${id}`, place: "run", to: routes.run(id) }];
  const targets: Target[] = [
    ...jobs.map((job) => ({
      icon: "code" as const,
      name: job.name,
      place: `job in ${job.location}`,
      to: routes.job({ ...job, job: job.name }),
    })),
    ...schedules.map((schedule) => ({
      icon: "calendar" as const,
      name: schedule.name,
      place: `schedule in ${schedule.location}`,
      to: routes.schedule(schedule),
    })),
    ...PAGES,
  ];
  const matching = targets.filter(({ name, place }) => {
    const haystack = `${name} ${place}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  });
  return matching.slice(0, SHOWN);
}
