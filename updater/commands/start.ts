import { join } from 'node:path';
import { z } from 'zod';
import { layoutOf } from '../../protocol/layout.ts';
import { printable } from '../../protocol/printable.ts';
import { realClock } from '../effects/clock.ts';
import type { CommandLine } from '../effects/command-line.ts';
import { readJson } from '../effects/durable.ts';
import { realFiles } from '../effects/files.ts';
import { runCommand } from './cli.ts';

/** Wires the real effects; commands load what they need, when they need it. */

const releaseShape = z.object({ version: z.string(), builtAt: z.int().min(0).default(0) });
const releaseBytesMax = 64 * 1024;

/** What the builder wrote beside this program; in a checkout, that of the package. */
function ownRelease(): z.infer<typeof releaseShape> {
  const at = (path: string) => readJson(realFiles, join(import.meta.dirname, path), releaseBytesMax);
  return releaseShape.parse(at('release.json') ?? at('../../package.json'));
}

/** @returns the exit status */
export function start(
  words: readonly string[],
  options: CommandLine['options'],
  proxies: CommandLine['proxies'],
): Promise<number> {
  const release = ownRelease();
  return runCommand({
    words,
    options,
    proxies,
    version: release.version,
    builtAtS: release.builtAt,
    home: import.meta.dirname,
    layout: layoutOf(options.root),
    files: realFiles,
    clock: realClock,
    print: (text) => process.stdout.write(printable(`${text}\n`)),
    complain: (text) => process.stderr.write(printable(`${text}\n`)),
  });
}
