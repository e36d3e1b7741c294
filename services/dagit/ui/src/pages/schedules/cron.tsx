// A cron rule in words.
import cronstrue from "cronstrue";
import type { Schedule } from "../../api/types";

/** Returns the rule in words, or as it is written where no words fit. */
export function cronWords(rule: string): string {
  try {
    const words = cronstrue.toString(rule, { use24HourTimeFormat: true });
    return /^At [\d:, and]+$/.test(words) ? `${words}, every day` : words;
  } catch {
    return rule;
  }
}

export function CronText({ schedule }: { schedule: Pick<Schedule, "cron_schedules" | "execution_timezone"> }) {
  const { cron_schedules, execution_timezone } = schedule;
  return (
    <span title={`${cron_schedules.join(" and ")} (${execution_timezone})`}>
      {cron_schedules.map(cronWords).join(", and ")}
    </span>
  );
}
