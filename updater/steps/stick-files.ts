import { join } from 'node:path';
import { stickLinesMax } from '../../protocol/status.ts';
import type { Appliance } from '../appliance.ts';
import type { FileFacts } from '../effects/files.ts';
import type { Note } from './stick-notes.ts';
import { sourcesName } from './stick-sources.ts';

/** What a stranger's stick may cost a run. */
const lookLimits = {
  /** Directories below the mount directory: its own, a stick's, and one more (`/run/media/root/STICK`). */
  depth: 2,
  directories: 64,
  /** Names that are read of one directory. */
  names: 512,
  /** Bundles that are looked at, and told of. */
  bundles: stickLinesMax,
} as const;
const pathMax = 400;

export type Present = Pick<Note, 'path' | 'size' | 'mtimeMs'>;

export function isSystemError(error: unknown): error is Error & { code: unknown } {
  return error instanceof Error && 'code' in error;
}

/** A stick may be pulled out while it is looked at: then there is nothing on it. */
export function unlessPulledOut<T>(appliance: Appliance, pulledOut: T, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    appliance.log(`a stick can not be read: ${error.message}`);
    return pulledOut;
  }
}

export interface OnSticks {
  readonly bundles: readonly Present[];
  readonly sources: readonly string[];
}

/** What lies on sticks now, by its path. Links, devices and FIFOs are nothing. */
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
