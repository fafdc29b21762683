import { type CommandLine, fail } from '../effects/command-line.ts';
import { commandTexts } from '../words/texts.ts';
import { otherRoot } from './other-root.ts';

/**
 * The machine was set up, but its data partition is missing: the command must not hang and must not start afresh (S47).
 */
export function noAppliance(line: CommandLine): number {
  return fail(
    line,
    'no-appliance',
    commandTexts.noAppliance(line.layout.root, line.layout.updater),
    commandTexts.noApplianceNext(otherRoot(line.layout.root)),
  );
}
