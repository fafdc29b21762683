/**
 * Makes a text harmless for the terminal, the log or the JSON line that it is written to. Texts of appliances, sticks,
 * bundles, servers and operating systems pass here before a program writes them.
 */

/**
 * Characters that a terminal obeys (C0, DEL, C1), that change the order of others (bidi), or that are invisible (zero
 * width, fillers, tags), by their Unicode properties. The caller decides about line feeds and tabs.
 */
const unseen = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const breaks = /[\n\t]/g;

/** The JSON escape, one code unit at a time: a JSON text keeps its meaning. */
function escaped(found: string): string {
  let text = '';
  for (let index = 0; index < found.length; index += 1)
    text += `\\u${found.charCodeAt(index).toString(16).padStart(4, '0')}`;
  return text;
}

/** A text that is safe to write: each invisible or controlling character becomes `\uXXXX`. Line feeds and tabs stay. */
export function printable(text: string): string {
  return text.replace(unseen, escaped);
}

/** One field of a text of several lines: its content cannot begin a new line. */
export function inOneLine(text: string): string {
  return printable(text).replace(breaks, escaped);
}

/** Texts of any origin, one per line. */
export function inLines(texts: readonly string[]): string {
  return texts.map(inOneLine).join('\n');
}
