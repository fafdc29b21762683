#!/usr/bin/env node
import { join } from 'node:path';
import { exitFailed, exitUsage } from '../protocol/exit-status.ts';
import { layoutOf } from '../protocol/layout.ts';
import { printable } from '../protocol/printable.ts';
import type { SystemProblem } from '../protocol/system-problem.ts';
import { hearUnwritten } from '../protocol/unwritten-output.ts';
import { realFiles } from './effects/files.ts';
import { helpTexts } from './words/texts.ts';

/**
 * The appliance's command line. This file loads nothing slow: first it sets how the rest is loaded. As imports, these
 * two modules would load everything in them, which takes longer than this whole file.
 */
const { parseArgs } = process.getBuiltinModule('node:util');
const { enableCompileCache } = process.getBuiltinModule('node:module');

const options = {
  root: { type: 'string', default: '/var/lib/holdfast' },
  server: { type: 'string' },
  claim: { type: 'string' },
  'claim-file': { type: 'string' },
  'new-identity': { type: 'boolean', default: false },
  'new-pin': { type: 'boolean', default: false },
  proxy: { type: 'string' },
  'proxy-file': { type: 'string' },
  ca: { type: 'string' },
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
    const next = helpTexts.tryHelp('holdfast-updater --help');
    // Its first sentence: the others are about a way to write options that nobody here needs.
    const message = error.message.replace(/\. .*/s, '');
    const problem = { code: 'usage', message, next };
    const text = process.argv.includes('--json') ? JSON.stringify(problem) : `${message}\n${next}`;
    process.stderr.write(printable(`${text}\n`));
    return null;
  }
}

/** A user who may not look there has nothing to speed up; the command itself reports it. */
function statOrNone(path: string) {
  try {
    return realFiles.stat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

const isForPage = process.argv[2] === 'page';
const parsed = isForPage ? null : parse();
/** Its output is a log, and its exit status is for launch: a terminal or a journal that goes away changes neither. */
const isRun = parsed?.positionals[0] === 'run';

function complain({ code, message, next }: SystemProblem): void {
  if (isRun) return;
  const text = parsed?.values.json ? JSON.stringify({ code, message, next }) : `${code}: ${message}\n${next}`;
  process.stderr.write(printable(`${text}\n`));
}

/** What was begun is finished. */
function failAtTheEnd(): void {
  if (!isRun) process.once('exit', () => Object.assign(process, { exitCode: exitFailed }));
}
if (!isForPage) {
  hearUnwritten(process.stdout, complain, failAtTheEnd);
  hearUnwritten(process.stderr, () => undefined, failAtTheEnd);
}
// The field page is a program of its own, with its own options.
if (isForPage) await import('./page/main.ts');
else if (parsed === null) process.exitCode = exitUsage;
else {
  const { run, compiled } = layoutOf(parsed.values.root);
  // On tmpfs, where only root writes: a reboot forgets it. It is not created without an appliance (S47), or where
  // another user could put code.
  const facts = statOrNone(run);
  if (facts?.kind === 'directory' && facts.uid === process.getuid?.() && (facts.mode & 0o022) === 0) {
    enableCompileCache(compiled);
  }
  const { readShapesPlainly } = await import('./set-up/shapes.ts');
  readShapesPlainly();
  const { start } = await import('./commands/start.ts');
  const { env } = process;
  // Lower-case names take precedence, as everywhere; an empty value counts as none.
  const proxies = {
    https: env.https_proxy || env.HTTPS_PROXY,
    http: env.http_proxy || env.HTTP_PROXY,
    none: env.no_proxy || env.NO_PROXY,
  };
  process.exitCode = await start(parsed.positionals, parsed.values, proxies);
}
