import { join } from 'node:path';
import type { Command } from 'commander';
import { ExecaError, execa } from 'execa';
import { cliTexts } from '../texts.ts';
import { CliError } from './cli-error.ts';
import type { Desk } from './desk.ts';

/** The command builds a release, publishes it and starts its rollout. */
const demoMs = 5 * 60_000;

export function addDemoCommands(program: Command, desk: Desk): void {
  program
    .command('demo')
    .description(cliTexts.demo)
    .command('break')
    .description(cliTexts.demoBreak)
    .action(async () => {
      const { root } = desk.surroundings;
      try {
        await execa(process.execPath, [join('test', 'story', 'demo-break.ts')], {
          cwd: root,
          stdio: 'inherit',
          timeout: demoMs,
        });
      } catch (cause) {
        if (!(cause instanceof ExecaError)) throw cause;
        throw new CliError('demo-failed', cliTexts.demoEnded(cause.exitCode ?? cause.signal), cliTexts.demoEndedNext, {
          cause,
        });
      }
    });
}
