// Just enough of YAML's and JSON's words to colour a line. Pure; it decides nothing about what the text means.

export interface Token {
  text: string;
  kind: "key" | "string" | "number" | "word" | "comment" | "mark" | "plain";
}

const RULES: readonly [Token["kind"], RegExp][] = [
  ["comment", /#.*/y],
  ["key", /"(?:[^"\\]|\\.)*"(?=\s*:(?:\s|$))|[A-Za-z_][\w./-]*(?=\s*:(?:\s|$))/y],
  ["string", /"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?/y],
  ["number", /[-+]?(?:\d[\d_]*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?=[\s,\]}]|$)/y],
  ["word", /(?:true|false|null|~)(?=[\s,\]}]|$)/y],
  ["mark", /[-:,[\]{}|>](?=\s|$)|[[\]{},]/y],
  ["plain", /\s+|[^\s"',[\]{}]+|./y],
];

/** Splits one line into coloured parts. */
export function tokens(line: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < line.length) {
    for (const [kind, rule] of RULES) {
      rule.lastIndex = at;
      const text = rule.exec(line)?.[0];
      if (!text || (kind === "comment" && at > 0 && !/\s/.test(line.charAt(at - 1)))) continue;
      found.push({ kind, text });
      at += text.length;
      break;
    }
  }
  return found;
}
