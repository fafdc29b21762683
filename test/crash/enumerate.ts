import type { Files } from '../../updater/effects/files.ts';
import type { DiskState } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { crashImages } from './images.ts';
import type { Fates } from './token.ts';

/** Samples of one prefix that has too much undecided for all combinations. */
const samplesMax = 200;

/** Some durable work, what must hold after a cut anywhere in it, and what takes up the work again. */
export interface Procedure {
  prepare(files: Files): void;
  run(files: Files): void;
  recover(files: Files): void;
  /** The sentence that is broken, or null. `ended`: the work (or its recovery) had returned before the cut. */
  broken(files: Files, ended: boolean): string | null;
}

export interface Violation {
  readonly sentence: string;
  readonly prefix: number;
  readonly step: string;
  readonly fates: Fates;
  readonly seed: number;
  /** The cut in the recovery, where the first one did no harm. */
  readonly second: boolean;
}

export interface Enumeration {
  readonly states: number;
  readonly completePrefixes: number;
  readonly sampledPrefixes: number;
  readonly violations: readonly Violation[];
}

interface Moment {
  readonly disk: DiskState;
  readonly step: string;
  readonly ended: boolean;
}

/** The disk before each step that changes it, and at the end. */
function moments(from: DiskState, plant: (files: Files) => Files, run: (files: Files) => void): Moment[] {
  const seen: Moment[] = [];
  const files = new DiskFiles(from, (disk, step) => seen.push({ disk, step, ended: false }));
  run(plant(files));
  return [...seen, { disk: files.disk, step: 'end', ended: true }];
}

function errorSentence(error: unknown): string {
  return `recovery fails: ${error instanceof Error ? error.message : String(error)}`;
}

/**
 * Cuts the power before every step of a procedure, with every image that the model allows; recovers from each
 * different one; and cuts the power once more before every step of that recovery.
 */
export function enumerate(
  procedure: Procedure,
  options: { readonly seed: number; readonly plant?: (files: Files) => Files },
): Enumeration {
  const plant = options.plant ?? ((files: Files) => files);
  const states = new Set<string>();
  const violations: Violation[] = [];
  let completePrefixes = 0;
  let sampledPrefixes = 0;

  const cut = (run: readonly Moment[], second: boolean): void => {
    for (const [prefix, { disk, step, ended }] of run.entries()) {
      const seed = options.seed + prefix;
      const { images, complete } = crashImages(disk, { samples: samplesMax, seed });
      if (complete) completePrefixes += 1;
      else sampledPrefixes += 1;
      for (const image of images) {
        const key = `${ended} ${image.digest}`;
        if (states.has(key)) continue;
        states.add(key);
        const report = (sentence: string) =>
          violations.push({ sentence, prefix, step, fates: image.fates, seed, second });
        const broken = procedure.broken(new DiskFiles(image.disk), ended);
        if (broken !== null) report(broken);
        let recovery: Moment[];
        try {
          recovery = moments(image.disk, plant, (files) => procedure.recover(files));
        } catch (error) {
          report(errorSentence(error));
          continue;
        }
        if (!second) cut(recovery, true);
        const last = recovery.at(-1);
        const after = last === undefined ? null : procedure.broken(new DiskFiles(last.disk), true);
        if (after !== null) report(after);
      }
    }
  };

  const first = new DiskFiles();
  procedure.prepare(first);
  cut(
    moments(first.disk, plant, (files) => procedure.run(files)),
    false,
  );
  return { states: states.size, completePrefixes, sampledPrefixes, violations };
}
