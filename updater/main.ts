#!/usr/bin/env node
import { join } from 'node:path';
import { layoutOf } from '../protocol/layout.ts';
import { realFiles } from './effects/files.ts';

/**
 * The appliance's command line, and nothing yet that takes time to load: first it is said how the rest is loaded. As
 * imports these two would bring all that they can, which takes longer than all of this file.
 */
const { parseArgs } = process.getBuiltinModule('node:util');
const { enableCompileCache } = process.getBuiltinModule('node:module');

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
  rollback: { type: 'boolean', default: false },
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

const exitUsage = 64;
const parsed = parse();
if (parsed === null) process.exitCode = exitUsage;
else {
  const { run, compiled } = layoutOf(parsed.values.root);
  // On tmpfs, where only root writes: a reboot forgets it. Nothing is made where there is no appliance (S47), or where
  // somebody else could put code.
  const facts = realFiles.stat(run);
  if (facts?.kind === 'directory' && facts.uid === process.getuid?.() && (facts.mode & 0o022) === 0) {
    enableCompileCache(compiled);
  }
  const { readShapesPlainly } = await import('./shapes.ts');
  readShapesPlainly();
  const { start } = await import('./start.ts');
  process.exitCode = await start(parsed.positionals, parsed.values);
}
