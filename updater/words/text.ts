import { wordTexts } from './texts.ts';

/**
 * Head and tail of a long text, with a note of what was left out: the cause is often at one end (S32).
 * @param whole where all of it is kept; absent: nowhere
 */
export function headAndTail(text: string, charactersMax: number, whole?: string): string {
  if (text.length <= charactersMax) return text;
  const note = wordTexts.leftOut(text.length - charactersMax, whole);
  const rest = Math.max(charactersMax - note.length, 0);
  const head = Math.floor(rest / 3);
  return text.slice(0, head).toWellFormed() + note + text.slice(text.length - (rest - head)).toWellFormed();
}
