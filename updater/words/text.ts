import { wordTexts } from './texts.ts';

/** Head and tail of a long text, with a note of what was left out: the cause is often at one end (S32). */
export function headAndTail(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const note = wordTexts.leftOut(text.length - charactersMax);
  const rest = charactersMax - note.length;
  const head = Math.floor(rest / 3);
  return text.slice(0, head) + note + text.slice(text.length - (rest - head));
}
