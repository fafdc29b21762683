import { type DiskState, type Fate, fatesOf, imageOf, withoutUnreachable } from './disk.ts';
import type { Fates } from './token.ts';
import { TreeDigests } from './tree-digest.ts';

/** Undecided things of which every combination of fates is made; beyond, samples are. */
export const completeMax = 6;

export interface Image {
  readonly disk: DiskState;
  readonly fates: Fates;
}

export interface CrashImage extends Image {
  readonly digest: bigint;
}

export interface Images {
  readonly images: readonly CrashImage[];
  /** Whether they are all that the model allows. */
  readonly complete: boolean;
}

export interface ImageOptions {
  readonly samples: number;
  readonly seed: number;
  readonly volatile?: readonly string[];
  /** The disk before the last step: what could be left of it is known, and only what could not is made. */
  readonly since?: DiskState;
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

/** What may be left of a disk when the power goes now; the same tree may be among them twice. */
export function imagesOf(whole: DiskState, options: ImageOptions): { images: Image[]; complete: boolean } {
  const { volatile, since, samples, seed } = options;
  const isNew = (item: DiskState['undecided'][number]) => since?.undecided.includes(item) !== true;
  // Every sync: what is decided now was one of the ways before.
  const isSubset = since !== undefined && !whole.undecided.some(isNew);
  if (isSubset && whole.undecided.length <= completeMax && isComplete(since)) return { images: [], complete: true };
  const disk = withoutUnreachable(whole);
  const choices = disk.undecided.map(fatesOf);
  const complete = choices.length <= completeMax;
  const ways = complete ? allFates(choices) : sampledFates(choices, samples, seed);
  const known = complete && since !== undefined && isComplete(since);
  const fresh = disk.undecided.map(isNew);
  const made = known ? ways.filter((fates) => fates.some((fate, index) => fresh[index] && fate !== 'lost')) : ways;
  return { images: made.map((fates) => ({ disk: imageOf(disk, fates, volatile), fates })), complete };
}

function isComplete(disk: DiskState): boolean {
  return disk.undecided.length <= completeMax || withoutUnreachable(disk).undecided.length <= completeMax;
}

/** What a disk may be after a power cut now, each different tree once. */
export function crashImages(whole: DiskState, options: ImageOptions): Images {
  const { images, complete } = imagesOf(whole, options);
  const digests = new TreeDigests();
  const different = new Map<bigint, CrashImage>();
  for (const { disk, fates } of images) {
    const digest = digests.of(disk.seen);
    if (!different.has(digest)) different.set(digest, { disk, fates, digest });
  }
  return { images: [...different.values()], complete };
}
