import type { Fate } from './disk.ts';

/** What became of what was undecided; `killed`: the power stayed, and nothing was lost. */
export type Fates = readonly Fate[] | 'killed';

export interface Cut {
  /** Steps that were done before it. */
  readonly prefix: number;
  readonly fates: Fates;
}

const letters: Readonly<Record<Fate, string>> = { lost: 'l', whole: 'w', head: 'h', tail: 't', length: 'n' };
const fatesByLetter = new Map(Object.entries(letters).map(([fate, letter]) => [letter, fate as Fate]));

/** `kind@12.lwh/30.k`: the cuts of one case, as a person can copy them. */
export function tokenOf(kind: string, cuts: readonly Cut[]): string {
  const parts = cuts.map(
    ({ prefix, fates }) => `${prefix}.${fates === 'killed' ? 'k' : fates.map((fate) => letters[fate]).join('')}`,
  );
  return `${kind}@${parts.join('/')}`;
}

/** @throws RangeError when it is no token */
export function parseToken(token: string): { kind: string; cuts: Cut[] } {
  const [kind, cuts, ...rest] = token.split('@');
  if (kind === undefined || cuts === undefined || rest.length > 0) throw new RangeError(`${token} is no case`);
  const parsed = cuts.split('/').filter((part) => part !== '');
  return {
    kind,
    cuts: parsed.map((part): Cut => {
      const [prefix, fates] = part.split('.');
      if (prefix === undefined || fates === undefined || !/^\d+$/.test(prefix))
        throw new RangeError(`${part} is no cut`);
      if (fates === 'k') return { prefix: Number(prefix), fates: 'killed' };
      const found = [...fates].map((letter) => fatesByLetter.get(letter));
      const known = found.filter((fate) => fate !== undefined);
      if (known.length < found.length) throw new RangeError(`${part} is no cut`);
      return { prefix: Number(prefix), fates: known };
    }),
  };
}
