#!/usr/bin/env node
import { resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { exitDone, exitFailed, exitUsage } from '../../../protocol/exit-status.ts';
import { printable } from '../../../protocol/printable.ts';
import { ImageError } from '../../errors.ts';
import { agentByHandTexts } from '../../texts.ts';
import { runByHand } from './run-by-hand.ts';

interface Options {
  readonly root: string;
  readonly with?: string;
}

async function run({ root, with: makerDir }: Options): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());
  const print = (text: string) => process.stdout.write(printable(`${text}\n`));
  const where = { root: resolve(root), makerDir: makerDir === undefined ? null : resolve(makerDir) };
  process.exitCode = await runByHand(where, print, stopping.signal);
}

const program = new Command('agent')
  .configureOutput({
    writeOut: (text) => process.stdout.write(printable(text)),
    writeErr: (text) => process.stderr.write(printable(text)),
    outputError: (text, write) => write(`${text.trimEnd()}\n${agentByHandTexts.usageNext}\n`),
  })
  // Commander's own exits mean wrong usage, except those that the user asked for (help).
  .exitOverride()
  .description(agentByHandTexts.program)
  .requiredOption('--root <dir>', agentByHandTexts.root)
  .option('--with <dir>', agentByHandTexts.with)
  .action((options: Options) => run(options));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? exitDone : exitUsage);
  if (!(error instanceof ImageError)) throw error;
  process.stderr.write(printable(`${error.message} (${error.code})\n${agentByHandTexts.next(error.next)}\n`));
  process.exitCode = exitFailed;
}
