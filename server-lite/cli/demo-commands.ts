import { join } from 'node:path';
import type { Command } from 'commander';
import { ExecaError, execa } from 'execa';
import { CliError } from './cli-error.ts';
import type { Desk } from './program.ts';

/** It builds a release, publishes it and starts its rollout. */
const demoMs = 5 * 60_000;

export function addDemoCommands(program: Command, desk: Desk): void {
  program
    .command('demo')
    .description('For whoever tries Holdfast with `npm start`')
    .command('break')
    .description('Publish one more broken release and roll it out')
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
        throw new CliError(
          'demo-failed',
          `the demonstration ended with ${cause.exitCode ?? cause.signal}`,
          'run it while `npm start` is up',
          { cause },
        );
      }
    });
}
