/** A cut goes back this far to the end of a clause or a word; a longer word is cut itself. */
const backCharactersMax = 30;

/**
 * A text of limited length: an ellipsis shows the cut, so that a part does not pass for the whole. It ends with a whole word,
 * and not with the first words of a clause.
 */
export function cut(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const room = text.slice(0, charactersMax - 1).toWellFormed();
  const isWhole = /\s/.test(text.charAt(room.length));
  const word = isWhole ? room.length : room.search(/\s\S*$/);
  const end = word > 0 && room.length - word <= backCharactersMax ? word : room.length;
  const clause = room.slice(0, end).search(/[.;]\s[^.;]*$/);
  const isNear = clause >= room.length / 2 && room.length - clause <= backCharactersMax;
  return `${room.slice(0, isNear ? clause : end).replace(/[\s.,;:…]+$/, '')}…`;
}

/** Ends with a full stop; a text that was cut keeps its ellipsis. */
export function withFullStop(text: string): string {
  return /[.…]$/.test(text) ? text : `${text}.`;
}

/** The end of a text, at limited length, where the end says most, as in a program's output. */
export function cutHead(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  return `…${text
    .slice(text.length - charactersMax + 1)
    .toWellFormed()
    .trimStart()}`;
}

/**
 * `Error: …`, `TypeError [CODE]: …`, `app.StateError: …`, `FATAL ERROR: …`: the first line of an error that ended a
 * program.
 */
const errorLine = /^(?:Uncaught )?\[?(?:[\w$.]*(?:Error|Exception)\b|FATAL ERROR\b|fatal error\b)/;
/** Lines after the cause that say nothing about it: frames, brackets, the runtime's own version, advice. */
const afterwords = [
  /^\s*$/,
  /^\s+at\s/,
  /^\s*[\][{}()^~-]+[,;]?$/,
  /^Node\.js v\d/,
  /^\(Use `node --trace/,
  /^\s*\d+: 0x[0-9a-f]+/,
  /^-{3,}.*-{3,}$/,
  /^<--- .* --->$/,
  /^Require stack:$/,
  /^- \//,
  /^what to do: /,
  /^Next: /,
];
/** A frame, or the line with which Node ends: above it stands an uncaught error. */
const ofCrash = /^(?:\s+at\s|Node\.js v\d)/;

/** The message in a line of a structured log. */
function spoken(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { msg, error, err } = JSON.parse(line) as { msg?: unknown; error?: unknown; err?: { message?: unknown } };
    const cause = typeof error === 'string' ? error : err?.message;
    const parts = [msg, cause].filter((part) => typeof part === 'string' && part !== '');
    return parts.length === 0 ? line : parts.join(': ');
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    return line;
  }
}

/**
 * The last words of a program: for an error that ended it, the error's own line, not the frames, the properties and the
 * version that Node writes below; else its last line. Empty when it wrote nothing; not cut.
 */
export function lastWord(output: string): string {
  let last = '';
  let hasCrashed = false;
  for (const line of output.split('\n').reverse()) {
    hasCrashed ||= ofCrash.test(line);
    if (errorLine.test(line)) return hasCrashed || last === '' ? line.trim() : spoken(last).trim();
    if (afterwords.some((known) => known.test(line))) continue;
    // Properties of the error, or further lines of its message: the error itself stands above.
    if (last === '') last = line;
    if (!hasCrashed && !/^\s/.test(line)) break;
  }
  return spoken(last).trim();
}
