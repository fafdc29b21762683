#!/usr/bin/env node
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { exitDone, exitFailed, exitUsage } from '../protocol/exit-status.ts';
import { printable } from '../protocol/printable.ts';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { systemProblem } from '../protocol/system-problem.ts';
import { hearUnwritten } from '../protocol/unwritten-output.ts';
import { versionShape } from '../protocol/version.ts';
import { addKeyCommands } from './ceremony/key-commands.ts';
import { ImageError } from './errors.ts';
import { emitOs } from './os.ts';
import { addReleaseCommands } from './release-commands.ts';
import { sourceCommit } from './source-commit.ts';
import { emitSystem } from './system/emit-system.ts';
import { confirm, print } from './terminal.ts';
import { commandTexts } from './texts.ts';

const checkout = resolve(import.meta.dirname, '..');
const osShape = z.object({ out: z.string(), source: z.string(), version: versionShape, node: z.string() });

async function os(raw: unknown, json: boolean): Promise<void> {
  const { out, source, version, node } = osShape.parse(raw);
  const sourceDir = resolve(source);
  const commit = await sourceCommit(sourceDir, null);
  const files = await emitOs({ sourceDir, outDir: resolve(out), version, commit, node: resolve(node) });
  print(json, { ...files, version, commit }, commandTexts.osWritten(resolve(out), version));
}

const systemShape = z.object({ os: z.string(), factory: z.array(z.string()), out: z.string() });

async function system(raw: unknown, json: boolean): Promise<void> {
  const { os: osDir, factory, out } = systemShape.parse(raw);
  const outDir = resolve(out);
  const { units } = await emitSystem({ osDir: resolve(osDir), factory: factory.map((file) => resolve(file)), outDir });
  print(json, { out: outDir, units }, commandTexts.systemWritten(outDir, units.length));
}

/** What the person typed: `holdfast`, `holdfast release`, which passes its words on, or the script of this checkout. */
const calledAs = process.env.HOLDFAST_CALLED_AS ?? 'npm run bundle --';
const program = new Command(calledAs)
  .description(commandTexts.program)
  .enablePositionalOptions()
  .configureOutput({
    writeOut: (text) => process.stdout.write(printable(text)),
    writeErr: (text) => process.stderr.write(printable(text)),
    outputError: (text, write) => write(`${text.trimEnd()}\n${commandTexts.usageNext(calledAs)}\n`),
  });
addReleaseCommands(program, checkout, print);
addKeyCommands(program, { print, confirm });
program
  .command('os')
  .description(commandTexts.os)
  .requiredOption('--out <dir>', commandTexts.emptyDirectory)
  .requiredOption('--version <version>', commandTexts.osVersion)
  .option('--source <dir>', commandTexts.checkout, checkout)
  .option('--node <file>', commandTexts.osNode, process.execPath)
  .option('--json', commandTexts.json, false)
  .action((options) => os(options, options.json));
program
  .command('system')
  .description(commandTexts.system)
  .requiredOption('--os <dir>', commandTexts.systemOs)
  .requiredOption('--factory <file...>', commandTexts.systemFactory)
  .requiredOption('--out <dir>', commandTexts.emptyDirectory)
  .option('--json', commandTexts.json, false)
  .action((options) => system(options, options.json));

/** Commander's own exits mean wrong usage, except those that the user asked for (help, version). */
function exitOverride(command: Command): void {
  command.exitOverride();
  for (const each of command.commands) exitOverride(each);
}
exitOverride(program);

hearUnwritten(
  process.stdout,
  ({ code, message, next }) => process.stderr.write(printable(`${commandTexts.problem(message, code, next)}\n`)),
  // What was begun is finished.
  () => process.once('exit', () => Object.assign(process, { exitCode: exitFailed })),
);

try {
  await program.parseAsync();
} catch (error) {
  const { status, text } = explain(error);
  if (text !== null) process.stderr.write(printable(`${text}\n`));
  process.exitCode = status;
}

/** The text for a person; an error that is not an expected failure is a bug, and crashes. */
function explain(error: unknown): { readonly status: number; readonly text: string | null } {
  const refused = (code: string, message: string, next: string) => {
    return { status: exitFailed, text: commandTexts.problem(message, code, next) };
  };
  if (error instanceof ImageError) return refused(error.code, error.message, error.next);
  if (error instanceof z.ZodError) return { status: exitUsage, text: shapeProblem(error) };
  if (error instanceof InvalidArgumentError) return { status: exitUsage, text: error.message };
  if (error instanceof CommanderError) return { status: error.exitCode === 0 ? exitDone : exitUsage, text: null };
  const problem = systemProblem(error);
  if (problem !== null) return refused(problem.code, problem.message, problem.next);
  throw error;
}
