#!/usr/bin/env node
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, CommanderError } from 'commander';
import { exitDone, exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import { readHidden } from '../../protocol/hidden-line.ts';
import { inOneLine, printable } from '../../protocol/printable.ts';
import { systemProblem } from '../../protocol/system-problem.ts';
import { hearUnwritten } from '../../protocol/unwritten-output.ts';
import { cliTexts } from '../texts.ts';
import { usageErrorOf } from '../usage-error.ts';
import { releaseVersion } from '../version.ts';
import { CliError } from './cli-error.ts';
import { isForImage } from './image-program.ts';
import { profileDirectory } from './profile.ts';
import { makeProgram } from './program.ts';

const tokenCharactersMax = 200;

/** An empty variable counts as not set. */
const { env } = process;
const places = {
  directory: profileDirectory(homedir(), env.XDG_CONFIG_HOME),
  config: env.HOLDFAST_CONFIG || undefined,
  server: env.HOLDFAST_SERVER || undefined,
  tokenFile: env.HOLDFAST_TOKEN_FILE || undefined,
  profile: env.HOLDFAST_PROFILE || undefined,
};

/** @throws CliError `token-missing` if nobody types one */
async function askToken(url: string): Promise<string> {
  const ask = () => void process.stderr.write(printable(cliTexts.askToken(url)));
  const typed = process.stdin.isTTY ? await readHidden(process.stdin, tokenCharactersMax, ask) : null;
  if (process.stdin.isTTY) process.stderr.write(printable('\n'));
  if (typed !== null && typed.trim() !== '') return typed.trim();
  throw new CliError('token-missing', cliTexts.noToken, cliTexts.noTokenNext);
}

const program = makeProgram({
  print: (text) => {
    process.stdout.write(printable(`${text}\n`));
  },
  output: {
    writeOut: (text) => process.stdout.write(printable(text)),
    writeErr: (text) => process.stderr.write(printable(text)),
    outputError: usageErrorOf('holdfast', process.argv),
  },
  sleep: (ms) => sleep(ms),
  version: releaseVersion(),
  places,
  askToken,
  root: join(import.meta.dirname, '..', '..'),
});

program.enablePositionalOptions(isForImage(process.argv.slice(2)));

/** Commander's own exits mean wrong usage, except those that the user asked for (help, version). */
function exitOverride(command: Command): void {
  command.exitOverride();
  for (const each of command.commands) exitOverride(each);
}
exitOverride(program);

// At once: a command that watches would go on for nobody.
hearUnwritten(process.stdout, complain, () => process.exit(exitFailed));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitDone : exitUsage;
  const problem = error instanceof CliError ? error : systemProblem(error);
  if (problem === null) throw error;
  complain(problem);
  return exitFailed;
}

function complain({ code, message, next }: Pick<CliError, 'code' | 'message' | 'next'>): void {
  const plain = `${code}: ${inOneLine(message)}${next === undefined ? '' : cliTexts.next(inOneLine(next))}`;
  process.stderr.write(
    printable(`${program.opts<{ json?: boolean }>().json ? JSON.stringify({ code, message, next }) : plain}\n`),
  );
}
