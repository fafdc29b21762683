/** A text's length in bytes of JSON: a control character becomes six. */
function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

/**
 * Head and tail of a text that is too long for the wire (S32): the cause is at one end or the other.
 * @param charsMax the field's limit in characters, and also in bytes of JSON, plus two
 */
export function headAndTail(text: string, charsMax: number): string {
  const gap = '\n…\n';
  let whole = text.toWellFormed();
  // Each turn at least halves what is too long, so this ends within about 20 turns for any text that fits in memory.
  for (let keep = charsMax - gap.length; whole.length > charsMax || jsonBytes(whole) > charsMax + 2; keep >>= 1) {
    const half = keep >> 1;
    whole = `${text.slice(0, half)}${gap}${half === 0 ? '' : text.slice(-half)}`.toWellFormed();
    if (half === 0) break;
  }
  return whole;
}
