import { join } from 'node:path';
import { z } from 'zod';
import { layoutOf } from '../protocol/layout.ts';
import { runCommand } from './cli.ts';
import type { CommandLine } from './command-line.ts';
import { realClock } from './effects/clock.ts';
import { readJson } from './effects/durable.ts';
import { realFiles } from './effects/files.ts';

/** Wires the real effects; commands load what they need, when they need it. */

const releaseShape = z.object({ version: z.string(), builtAt: z.int().min(0).default(0) });
const releaseBytesMax = 64 * 1024;

/** What the builder wrote beside this program; a checkout has nothing. */
function ownRelease(): z.infer<typeof releaseShape> {
  const release = readJson(realFiles, join(import.meta.dirname, 'release.json'), releaseBytesMax);
  return releaseShape.parse(release ?? { version: '0.0.0-dev' });
}

/** @returns the exit status */
export function start(words: readonly string[], options: CommandLine['options']): Promise<number> {
  const release = ownRelease();
  return runCommand({
    words,
    options,
    version: release.version,
    builtAtS: release.builtAt,
    home: import.meta.dirname,
    layout: layoutOf(options.root),
    files: realFiles,
    clock: realClock,
    print: (text) => process.stdout.write(`${text}\n`),
    complain: (text) => process.stderr.write(`${text}\n`),
  });
}
