import { join } from 'node:path';
import { stickLinesMax } from '../../protocol/status.ts';
import type { Appliance } from '../appliance/appliance.ts';
import type { FileFacts } from '../effects/files.ts';
import { requestTexts } from '../words/texts.ts';
import type { Note } from './stick-notes.ts';
import { sourcesName } from './stick-sources.ts';

/** The most that a stranger's stick may cost a run. */
const lookLimits = {
  /** Directories below the mount directory: its own, a stick's, and one more (`/run/media/root/STICK`). */
  depth: 2,
  directories: 64,
  /** Names read per directory. */
  names: 512,
  /** Bundles that are opened and reported. */
  bundles: stickLinesMax,
} as const;
const pathMax = 400;

export type Present = Pick<Note, 'path' | 'size' | 'mtimeMs'>;

export function isSystemError(error: unknown): error is Error & { code: unknown } {
  return error instanceof Error && 'code' in error;
}

/** A stick may be pulled out during a look: then nothing is on it. */
export function unlessPulledOut<T>(appliance: Appliance, pulledOut: T, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    appliance.log(requestTexts.stickUnreadable(error.message));
    return pulledOut;
  }
}

export interface OnSticks {
  readonly bundles: readonly Present[];
  readonly sources: readonly string[];
}

/** The files on sticks now, by path. Links, devices and FIFOs do not count. */
export function presentFiles(appliance: Appliance): OnSticks {
  const { files, settings } = appliance;
  const bundles: Present[] = [];
  const sources: string[] = [];
  const pending = settings.sticks.map((path) => ({ path, depth: 0 }));
  for (let looked = 0; looked < lookLimits.directories; looked += 1) {
    const directory = pending.shift();
    if (directory === undefined) break;
    const names = unlessPulledOut(appliance, [], () => files.listAtMost(directory.path, lookLimits.names));
    for (const name of names) {
      const path = join(directory.path, name);
      if (path.length > pathMax) continue;
      const facts = unlessPulledOut<FileFacts | null>(appliance, null, () => files.stat(path));
      if (facts?.kind === 'directory' && directory.depth < lookLimits.depth) {
        pending.push({ path, depth: directory.depth + 1 });
      }
      if (facts?.kind !== 'file') continue;
      if (/\.hfb$/i.test(name)) bundles.push({ path, ...sizeAndTime(facts) });
      if (name === sourcesName) sources.push(path);
    }
  }
  return { bundles: bundles.slice(0, lookLimits.bundles), sources: sources.slice(0, 1) };
}

function sizeAndTime({ size, mtimeMs }: FileFacts): Pick<Present, 'size' | 'mtimeMs'> {
  return { size, mtimeMs };
}
