import { join } from 'node:path';
import type { Command } from 'commander';
import { execa } from 'execa';
import type { Desk } from './program.ts';

const imageCommands: Readonly<Record<string, readonly string[]>> = {
  keys: ['init', 'show', 'rotate', 'sign'],
  release: ['build', 'revoke', 'sources', 'verify'],
};

/**
 * Are the options behind the command those of the builder's program? Else the global ones may stand there, and `--version`
 * would be the version of this command line.
 */
export function isForImage(args: readonly string[]): boolean {
  return args.some((word, index) => imageCommands[word]?.includes(args[index + 1] ?? '') === true);
}

/**
 * A command that the builder's program carries out, with the same words, the same terminal and the same exit status. The
 * command line of the server holds no offline key and signs nothing.
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
    .description(`${does}; ${name} --help tells more`)
    .argument('[arguments...]', 'as the builder takes them')
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (rest: string[]) => {
      const program = join(desk.surroundings.root, 'image', 'main.ts');
      const json = desk.wantsJson() && !rest.includes('--json') ? ['--json'] : [];
      const { exitCode } = await execa(process.execPath, [program, ...words, ...rest, ...json], {
        stdio: 'inherit',
        reject: false,
      });
      process.exitCode = exitCode ?? 1;
    });
}
