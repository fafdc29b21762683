#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { layoutOf } from '../protocol/layout.ts';
import { runCommand } from './cli.ts';
import { realClock } from './effects/clock.ts';
import { realFiles } from './effects/files.ts';

/** The appliance's command line. Wires the real effects; commands load what they need, when they need it. */

/** The version of this program: what the builder wrote beside it. */
function ownVersion(): string {
  try {
    const release: unknown = JSON.parse(readFileSync(join(import.meta.dirname, 'release.json'), 'utf8'));
    if (typeof release === 'object' && release !== null && 'version' in release && typeof release.version === 'string')
      return release.version;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  return '0.0.0-dev';
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
  process.exitCode = await runCommand({
    words: parsed.positionals,
    options: parsed.values,
    version: ownVersion(),
    layout: layoutOf(parsed.values.root),
    files: realFiles,
    clock: realClock,
    print: (text) => process.stdout.write(`${text}\n`),
    complain: (text) => process.stderr.write(`${text}\n`),
  });
}
