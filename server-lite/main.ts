#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { exitDone, exitFailed, exitUsage } from '../protocol/exit-status.ts';
import { printable } from '../protocol/printable.ts';
import { type SystemProblem, systemProblem } from '../protocol/system-problem.ts';
import { hearUnwritten } from '../protocol/unwritten-output.ts';
import { usualLimits } from './connections/limits.ts';
import { numberBetween, wholeBetween } from './option-values.ts';
import { StartError } from './start-error.ts';
import { commandTexts } from './texts.ts';
import { usageErrorOf } from './usage-error.ts';
import { releaseVersion } from './version.ts';

// Each command loads what it needs: help and a mistyped word need not wait for a server.

const program = new Command('holdfast-server').description(commandTexts.program);
program.version(releaseVersion());
program.configureOutput({
  writeOut: (text) => process.stdout.write(printable(text)),
  writeErr: (text) => process.stderr.write(printable(text)),
  outputError: usageErrorOf('holdfast-server', process.argv),
});
program
  .command('serve')
  .description(commandTexts.serve)
  .requiredOption('--data <dir>', commandTexts.serveData)
  .option('--host <host>', commandTexts.serveHost, '127.0.0.1')
  .option('--port <port>', commandTexts.servePort, wholeBetween(0, 65_535))
  .option('--pace-s <seconds>', commandTexts.servePace, numberBetween(0.2, 86_400), 60)
  .option(
    '--public-url <url>',
    commandTexts.servePublicUrl,
    (url: string, before: readonly string[]) => [...before, url],
    [],
  )
  .option('--open-to-this-host', commandTexts.serveOpenToThisHost)
  .option(
    '--trusted-proxy <address>',
    commandTexts.serveTrustedProxy,
    (address: string, before: readonly string[]) => [...before, address],
    [],
  )
  .option('--connections-max <count>', commandTexts.serveConnectionsMax, wholeBetween(16, 100_000), usualLimits.all)
  .option(
    '--connections-per-peer <count>',
    commandTexts.serveConnectionsPerPeer,
    wholeBetween(4, 100_000),
    usualLimits.perPeer,
  )
  .option('--tls-cert <file>', commandTexts.serveTlsCert)
  .option('--tls-key <file>', commandTexts.serveTlsKey)
  .option('--token-file <file>', commandTexts.serveTokenFile)
  .option('--json', commandTexts.json)
  .action(async (options) => (await import('./commands/serve.ts')).serve(options));

program
  .command('backup')
  .description(commandTexts.backup)
  .requiredOption('--data <dir>', commandTexts.backupData)
  .requiredOption('--out <path>', commandTexts.backupOut)
  .option('--replace', commandTexts.backupReplace)
  .option('--json', commandTexts.json)
  .action(async (options) => (await import('./commands/keep.ts')).backup(options));
program
  .command('restore')
  .description(commandTexts.restore)
  .requiredOption('--data <dir>', commandTexts.restoreData)
  .requiredOption('--from <file>', commandTexts.restoreFrom)
  .option('--replace', commandTexts.restoreReplace)
  .option('--json', commandTexts.json)
  .action(async (options) => (await import('./commands/keep.ts')).restore(options));

program
  .command('token')
  .description(commandTexts.token)
  .requiredOption('--data <dir>', commandTexts.tokenData)
  .option('--token-file <file>', commandTexts.tokenFile)
  .option('--json', commandTexts.json)
  .action(async (options) => (await import('./commands/keep.ts')).replace(options));

/** Commander's own exits mean wrong usage, except those that the user asked for (help, version). */
for (const command of [program, ...program.commands]) command.exitOverride();

hearUnwritten(
  process.stdout,
  (problem) => process.stderr.write(printable(`${inWords(problem)}\n`)),
  () => process.exit(exitFailed),
);

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Not at once: whether help could be written is heard later.
    process.exitCode = error.exitCode === 0 ? exitDone : exitUsage;
    return;
  }
  process.stderr.write(printable(`${explain(error)}\n`));
  process.exit(exitFailed);
});

function explain(error: unknown): string {
  const known = error instanceof StartError ? error : systemProblem(error);
  if (known !== null) return inWords(known);
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  const message = error instanceof Error ? error.message : String(error);
  if (!isJson()) return `${code === null ? '' : `${code}: `}${message}`;
  return JSON.stringify({ code: code ?? 'defect', message, next: commandTexts.defectNext });
}

function inWords({ code, message, next }: SystemProblem): string {
  return isJson() ? JSON.stringify({ code, message, next }) : commandTexts.problem(code, message, next);
}

function isJson(): boolean {
  return process.argv.includes('--json');
}
