// What somebody is about to launch: preset, config text and tags. Pure, but for keeping it in this browser.
import { parse, write, type Format, type Parsed } from "../../config/document";
import type { JobAddress } from "../../api/client";
import type { Config, Job, LaunchRequest, Tags } from "../../api/types";

export interface Draft {
  /** The preset it began with; null: the defaults of the code. */
  preset: string | null;
  text: string;
  format: Format;
  tags: Tags;
}

/** What another page hands over: a run to be launched again. */
export interface Template {
  preset: string | null;
  run_config: Config;
  tags: Tags;
}

/** Returns a draft that begins with a preset, or with the defaults. */
export function draftOf(job: Job, preset: string | null, format: Format): Draft {
  const found = job.presets.find(({ name }) => name === preset);
  return {
    preset: found?.name ?? null,
    text: write(found?.run_config ?? job.default_run_config, format),
    format,
    tags: { ...found?.tags },
  };
}

/** Returns a draft like a run that was: what it was asked with, so it means the same. */
export function draftLike(job: Job, template: Template): Draft {
  const tags = Object.fromEntries(Object.entries(template.tags).filter(([name]) => !name.startsWith("dagwire/")));
  const base = draftOf(job, template.preset, "yaml");
  const plain = Object.keys(template.run_config).length === 0;
  return plain ? { ...base, tags } : { ...base, text: write(template.run_config, "yaml"), tags };
}

/** Whether the config is still what the preset or the defaults say. */
export function untouched(job: Job, draft: Draft): boolean {
  return draft.text === draftOf(job, draft.preset, draft.format).text;
}

/** Returns the request: what is written is what runs. A preset is named only while its config is untouched, since
 * Dagwire lays a config over its preset, and what was deleted here would come back. */
export function requestOf(job: Job, draft: Draft, parsed: Parsed): LaunchRequest {
  const to = { location: job.location, repository: job.repository, job: job.name };
  const tags = Object.keys(draft.tags).length > 0 ? { tags: draft.tags } : {};
  if (untouched(job, draft))
    return draft.preset === null ? { ...to, ...tags } : { ...to, ...tags, preset: draft.preset };
  return { ...to, ...tags, run_config: parsed.value ?? {} };
}

/** Writes the same config in another format; a text that does not parse stays as it is. */
export function reformat(draft: Draft, format: Format): Draft {
  const { value } = parse(draft.text);
  return value === null ? { ...draft, format } : { ...draft, format, text: write(value, format) };
}

/** Reads `name=value`; a value is optional. */
export function readTag(text: string): [string, string] | null {
  const [name = "", ...rest] = text.split("=");
  return name.trim() === "" ? null : [name.trim(), rest.join("=").trim()];
}

const storageKey = (at: JobAddress) => `dagwire.draft.${at.location}/${at.repository}/${at.job}`;

/** Returns the draft that this tab left behind. */
export function load(at: JobAddress): Draft | null {
  try {
    const kept = sessionStorage.getItem(storageKey(at));
    return kept === null ? null : (JSON.parse(kept) as Draft);
  } catch {
    return null;
  }
}

export function save(at: JobAddress, draft: Draft) {
  try {
    sessionStorage.setItem(storageKey(at), JSON.stringify(draft));
  } catch {
    // Without storage the draft lasts as long as the page.
  }
}
