import { Dialog } from "../ui/parts";

const KEYS: readonly [string, string][] = [
  ["Ctrl K", "Find a job, a schedule or a run"],
  ["g j", "Jobs"],
  ["g r", "Runs"],
  ["g s", "Schedules"],
  ["/", "Search on this page"],
  ["Ctrl Enter", "Launch (on a job's page)"],
  ["↑ ↓ ← →", "Walk through a graph"],
  ["Enter", "Open what is selected"],
  ["End", "Follow the log (on a run's page)"],
  ["?", "This list"],
];

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="help">
        {KEYS.map(([keys, words]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key} className="kbd">
                  {key}
                </kbd>
              ))}
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
