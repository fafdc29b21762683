#!/usr/bin/env node
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommanderError } from 'commander';
import { releaseVersion } from '../version.ts';
import { CliError } from './cli-error.ts';
import { isForImage } from './image-program.ts';
import { makeProgram } from './program.ts';

const exitUsage = 2;

const program = makeProgram({
  print: (text) => {
    process.stdout.write(`${text}\n`);
  },
  sleep: (ms) => sleep(ms),
  version: releaseVersion(),
  config: process.env.HOLDFAST_CONFIG,
  root: join(import.meta.dirname, '..', '..'),
});

program.enablePositionalOptions(isForImage(process.argv.slice(2)));

/** Commander's own exits are for wrong usage, except the ones that were asked for (help, version). */
for (const command of [program, ...program.commands.flatMap((each) => [each, ...each.commands])])
  command.exitOverride();

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads us has read enough (`holdfast fleet | head`).
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitUsage;
  if (!(error instanceof CliError)) throw error;
  const { code, message, next } = error;
  const plain = `${code}: ${message}${next === undefined ? '' : `\nNext: ${next}`}`;
  process.stderr.write(
    `${program.opts<{ json?: boolean }>().json ? JSON.stringify({ code, message, next }) : plain}\n`,
  );
  return 1;
}
