#!/usr/bin/env node
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { layoutOf } from '../protocol/layout.ts';
import { runCommand } from './cli.ts';
import { realClock } from './effects/clock.ts';
import { readJson } from './effects/durable.ts';
import { realFiles } from './effects/files.ts';

/** The appliance's command line. Wires the real effects; commands load what they need, when they need it. */

const releaseShape = z.object({ version: z.string(), builtAt: z.int().min(0).default(0) });
const releaseBytesMax = 64 * 1024;

/** What the builder wrote beside this program; a checkout has nothing. */
function ownRelease(): z.infer<typeof releaseShape> {
  const release = readJson(realFiles, join(import.meta.dirname, 'release.json'), releaseBytesMax);
  return releaseShape.parse(release ?? { version: '0.0.0-dev' });
}

const options = {
  root: { type: 'string', default: '/var/lib/holdfast' },
  server: { type: 'string' },
  claim: { type: 'string' },
  'claim-file': { type: 'string' },
  factory: { type: 'string', default: join(import.meta.dirname, '..', 'factory') },
  port: { type: 'string' },
  host: { type: 'string' },
  json: { type: 'boolean', default: false },
  'data-age': { type: 'string' },
  wait: { type: 'boolean', default: true },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const;

function parse() {
  try {
    return parseArgs({ options, allowPositionals: true, allowNegative: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\nTry: holdfast-updater --help\n`);
    return null;
  }
}

const parsed = parse();
if (parsed === null) process.exitCode = 64;
else {
  const release = ownRelease();
  process.exitCode = await runCommand({
    words: parsed.positionals,
    options: parsed.values,
    version: release.version,
    builtAtS: release.builtAt,
    home: import.meta.dirname,
    layout: layoutOf(parsed.values.root),
    files: realFiles,
    clock: realClock,
    print: (text) => process.stdout.write(`${text}\n`),
    complain: (text) => process.stderr.write(`${text}\n`),
  });
}
