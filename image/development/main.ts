#!/usr/bin/env node
import { join, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { ClaimError } from '../../protocol/claim.ts';
import { exitDone, exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import { printable } from '../../protocol/printable.ts';
import { ImageError } from '../errors.ts';
import { developmentTexts } from '../texts.ts';
import { applianceIn } from './appliance-directory.ts';
import { runAppliance } from './run-appliance.ts';
import { OperatorRefusal } from './server-words.ts';
import { isSetUp, type SetUpWish, setUpAppliance } from './set-up-appliance.ts';

interface Options extends SetUpWish {
  readonly dir?: string;
}

/** A name becomes a directory here. */
const plainName = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._-]*$/u;

async function run({ dir, ...asked }: Options): Promise<void> {
  // In the form that the server stores: in any spelling, it is the same directory.
  const wish = { ...asked, name: asked.name.normalize('NFC').trim() };
  if (dir === undefined && !plainName.test(wish.name)) {
    throw new ImageError(
      'directory-unusable',
      developmentTexts.noDirectoryName(wish.name),
      developmentTexts.noDirectoryNameNext,
    );
  }
  const place = await applianceIn(resolve(dir ?? join('.holdfast', 'appliances', wish.name)));
  const pin = isSetUp(place) ? null : await setUpAppliance(place, wish);
  const { config, layout } = place;
  if (config.agentUser === null) {
    process.stderr.write(printable(developmentTexts.agentRunsAsYou));
  }
  const stop = await runAppliance(config);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(printable(`${String(error)}\n`));
          process.exit(1);
        },
      );
    });
  }
  const told = [
    developmentTexts.askIt(layout.root),
    developmentTexts.logs(config.logs),
    developmentTexts.trialsAreShort,
    developmentTexts.pin(pin ?? developmentTexts.pinShownBefore),
    developmentTexts.runs(wish.name, config.page?.port ?? 0),
  ];
  process.stdout.write(printable(`${told.join('\n')}\n`));
}

const program = new Command('appliance')
  .configureOutput({
    writeOut: (text) => process.stdout.write(printable(text)),
    writeErr: (text) => process.stderr.write(printable(text)),
    outputError: (text, write) => write(`${text.trimEnd()}\n${developmentTexts.usageNext}\n`),
  })
  // Commander's own exits mean wrong usage, except those that the user asked for (help).
  .exitOverride()
  .description(developmentTexts.program)
  .requiredOption('--name <name>', developmentTexts.name)
  .option('--site <site>', developmentTexts.site, 'desk')
  .option('--dir <dir>', developmentTexts.dir)
  .option('--server <url>', developmentTexts.server)
  .option('--token-file <file>', developmentTexts.tokenFile)
  .option('--claim-file <file>', developmentTexts.claimFile)
  .option('--factory <file...>', developmentTexts.factory, [])
  .addHelpText('after', developmentTexts.after)
  .action((options: Options) => run(options));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? exitDone : exitUsage);
  if (!(error instanceof ImageError || error instanceof OperatorRefusal || error instanceof ClaimError)) throw error;
  const next = 'next' in error && error.next !== undefined ? developmentTexts.next(error.next) : '';
  process.stderr.write(printable(`${error.message} (${error.code})${next}\n`));
  process.exitCode = exitFailed;
}
