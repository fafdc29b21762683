#!/usr/bin/env node
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { versionShape } from '../protocol/version.ts';
import { ImageError } from './errors.ts';
import { addKeyCommands } from './keys/key-commands.ts';
import { emitOs } from './os.ts';
import { addReleaseCommands } from './release-commands.ts';
import { sourceCommit } from './source-commit.ts';
import { emitSystem } from './system/emit-system.ts';
import { confirm, print } from './terminal.ts';

const checkout = resolve(import.meta.dirname, '..');
const osShape = z.object({ out: z.string(), source: z.string(), version: versionShape, node: z.string() });

async function os(raw: unknown, json: boolean): Promise<void> {
  const { out, source, version, node } = osShape.parse(raw);
  const sourceDir = resolve(source);
  const commit = await sourceCommit(sourceDir, null);
  const files = await emitOs({ sourceDir, outDir: resolve(out), version, commit, node: resolve(node) });
  print(json, { ...files, version, commit }, `${resolve(out)}: launch.js, updater/, node (updater ${version})`);
}

const systemShape = z.object({ os: z.string(), factory: z.array(z.string()), out: z.string() });

async function system(raw: unknown, json: boolean): Promise<void> {
  const { os: osDir, factory, out } = systemShape.parse(raw);
  const outDir = resolve(out);
  const { units } = await emitSystem({ osDir: resolve(osDir), factory: factory.map((file) => resolve(file)), outDir });
  print(json, { out: outDir, units }, `${outDir}: lay it over / (${units.length} units)`);
}

const program = new Command('holdfast-image')
  .description('Builds signed bundles and keeps the offline part of the release repository.')
  .enablePositionalOptions();
addReleaseCommands(program, checkout, print);
addKeyCommands(program, { print, confirm });
program
  .command('os')
  .description("write what the operating system's image brings: launch, the updater, Node")
  .requiredOption('--out <dir>', 'an empty directory')
  .requiredOption('--version <version>', 'the version of the updater')
  .option('--source <dir>', 'the checkout', checkout)
  .option('--node <file>', 'the Node binary', process.execPath)
  .option('--json', 'print one JSON object', false)
  .action((options) => os(options, options.json));
program
  .command('system')
  .description('write the tree that makes a plain Debian machine an appliance: programs, factory bundles, units, users')
  .requiredOption('--os <dir>', 'what `os` wrote')
  .requiredOption('--factory <file...>', 'one bundle of app and one of updater')
  .requiredOption('--out <dir>', 'an empty directory')
  .option('--json', 'print one JSON object', false)
  .action((options) => system(options, options.json));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

/** What a person reads; anything that is not an expected failure is a bug, and crashes. */
function explain(error: unknown): string {
  if (error instanceof ImageError) return `${error.message} (${error.code})\nwhat to do: ${error.next}`;
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof InvalidArgumentError) return error.message;
  throw error;
}
