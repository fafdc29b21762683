import {
  type DiskState,
  type Fate,
  fatesOf,
  imageOf,
  treeDigest,
  withoutUnreachable,
  withoutVolatile,
} from './disk.ts';
import type { Fates } from './token.ts';

/** Undecided things of which every combination of fates is made; beyond, samples are. */
export const completeMax = 6;

export interface CrashImage {
  readonly disk: DiskState;
  readonly fates: Fates;
  readonly digest: string;
}

export interface Images {
  readonly images: readonly CrashImage[];
  /** Whether they are all that the model allows. */
  readonly complete: boolean;
}

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function allFates(choices: readonly (readonly Fate[])[]): Fate[][] {
  return choices.reduce<Fate[][]>((ways, fates) => ways.flatMap((way) => fates.map((fate) => [...way, fate])), [[]]);
}

function sampledFates(choices: readonly (readonly Fate[])[], samples: number, seed: number): Fate[][] {
  const number = seededNumbers(seed);
  const drawn = Array.from({ length: samples }, () =>
    choices.map((fates) => fates[Math.floor(number() * fates.length)] ?? 'lost'),
  );
  const ends: Fate[] = ['lost', 'whole'];
  const oneOff = choices.map((_, odd) => choices.map((__, index): Fate => (index === odd ? 'lost' : 'whole')));
  return [...ends.map((fate) => choices.map(() => fate)), ...oneOff, ...drawn];
}

/** The disk with only what is undecided and matters: fates are given in this order. */
export function undecidedAt(disk: DiskState, volatile: readonly string[]): DiskState {
  return withoutUnreachable(withoutVolatile(disk, volatile));
}

/** What a disk may be after a power cut now, each different tree once. */
export function crashImages(
  whole: DiskState,
  options: { readonly samples: number; readonly seed: number; readonly volatile?: readonly string[] },
): Images {
  const disk = undecidedAt(whole, options.volatile ?? []);
  const choices = disk.undecided.map(fatesOf);
  const complete = choices.length <= completeMax;
  const ways = complete ? allFates(choices) : sampledFates(choices, options.samples, options.seed);
  const images = new Map<string, CrashImage>();
  for (const fates of ways) {
    const image = imageOf(disk, fates, options.volatile);
    const digest = treeDigest(image.seen);
    if (!images.has(digest)) images.set(digest, { disk: image, fates, digest });
  }
  return { images: [...images.values()], complete };
}
