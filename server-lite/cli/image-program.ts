import { join } from 'node:path';
import type { Command } from 'commander';
import { execa } from 'execa';
import { exitFailed } from '../../protocol/exit-status.ts';
import { cliTexts } from '../texts.ts';
import type { Desk } from './desk.ts';

const imageCommands: Readonly<Record<string, readonly string[]>> = {
  keys: ['init', 'show', 'rotate', 'sign'],
  release: ['build', 'revoke', 'sources', 'verify'],
};

/**
 * Do the options behind the command belong to the builder's program? Otherwise the global ones may stand there, and
 * `--version` would be the version of this command line.
 */
export function isForImage(args: readonly string[]): boolean {
  return args.some((word, index) => imageCommands[word]?.includes(args[index + 1] ?? '') === true);
}

/** The words before those that the builder's program takes: `holdfast` of `keys`, `holdfast release` of `build`. */
function calledAs(parent: Command, words: readonly string[]): string {
  return words[0] === parent.name() ? 'holdfast' : `holdfast ${parent.name()}`;
}

/**
 * A command that the builder's program carries out, with the same words, terminal and exit status. The server's command
 * line holds no offline key and signs nothing.
 */
export function addImageCommand(
  parent: Command,
  desk: Desk,
  name: string,
  words: readonly string[],
  does: string,
): void {
  parent
    .command(name)
    .description(cliTexts.imageCommand(does, name))
    .argument('[arguments...]', cliTexts.imageArguments)
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (rest: string[]) => {
      const program = join(desk.surroundings.root, 'image', 'main.ts');
      const json = desk.wantsJson() && !rest.includes('--json') ? ['--json'] : [];
      const { exitCode } = await execa(process.execPath, [program, ...words, ...rest, ...json], {
        stdio: 'inherit',
        reject: false,
        env: { HOLDFAST_CALLED_AS: calledAs(parent, words) },
      });
      process.exitCode = exitCode ?? exitFailed;
    });
}
