/**
 * JSON that a person may have written with an editor of theirs: some editors put a byte order mark before it.
 * @throws SyntaxError
 */
export function parseWritten(text: string): unknown {
  return JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text);
}
