/** What a terminal obeys, hides or turns round, between names that must stay readable; and how to find what is left of it. */
const at = (...codes: number[]) => String.fromCodePoint(...codes);
const esc = at(0x1b);

export const hostileText = [
  `ท่าเรือ ${esc}]0;owned${at(7)}`,
  `${esc}[1A${esc}[2K${esc}[32mميناء`,
  `${at(0x9b)}31m${at(0x85)}`,
  `a${at(0x202e)}gpj${at(0x2066)}b${at(0x2069)}`,
  `c${at(0x200b, 0x200d, 0xfeff)}d${at(0x2028)}e${at(13)}f${at(0x7f)}`,
].join('');

/** In what a program wrote; empty: a terminal does nothing but show it. */
export function hostileIn(written: string): string[] {
  return written.match(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? [];
}
