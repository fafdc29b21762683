/** Takes no column: it stands above or below the letter before it, as in Thai. */
const mark = /[\p{Mn}\p{Me}\p{Cf}]/u;
/** East Asian Wide and Fullwidth (UAX 11), as far as people write with them: two columns. */
const wide =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const ascii = /^[ -~]*$/;
const letters = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Columns of a terminal that a text takes. */
export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += mark.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return columns;
}

/** The text, padded with blanks to that many columns. */
export function padded(text: string, columns: number): string {
  return `${text}${' '.repeat(Math.max(0, columns - displayWidth(text)))}`;
}

/** A text in pieces of at most so many columns, each of whole letters with their marks; a wider letter stands alone. */
export function piecesOf(text: string, columns: number): string[] {
  if (displayWidth(text) <= columns) return [text];
  const pieces: string[] = [];
  let piece = '';
  for (const { segment } of letters.segment(text)) {
    if (piece !== '' && displayWidth(piece + segment) > columns) {
      pieces.push(piece);
      piece = '';
    }
    piece += segment;
  }
  return [...pieces, piece];
}
