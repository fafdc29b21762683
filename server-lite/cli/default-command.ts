import type { Command } from 'commander';
import { nearest } from '../../protocol/known-fields.ts';
import { cliTexts } from '../texts.ts';

/**
 * The command of a group that is done where no other is named. A word that is none of the group's commands is a mistyped
 * command; to the default one it would only be an argument too many.
 */
export function defaultOf(group: Command, name: string): Command {
  const command = group.command(name, { isDefault: true }).allowExcessArguments(true);
  return command.hook('preAction', (_command, { args }) => {
    const [word] = args;
    if (word === undefined) return;
    const isNamed = group.args[0] === name;
    if (isNamed) command.error(cliTexts.wordsTooMany(name, args.join(' ')));
    const meant = nearest(
      word,
      group.commands.map((one) => one.name()),
    );
    group.error(cliTexts.commandUnknown(word, meant));
  });
}
