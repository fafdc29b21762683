import type { Command } from 'commander';
import { addImageCommand } from './image-program.ts';
import type { Desk } from './program.ts';

/** `holdfast keys`: the offline keys, where the operator's directory is. No server is needed. */
export function addKeyCommands(program: Command, desk: Desk): void {
  const keys = program
    .command('keys')
    .description('The offline keys of releases: no server is asked')
    .enablePositionalOptions();
  const does = {
    init: 'Make the first keys of a repository, or one key to be carried',
    show: 'Every role: its keys, who has them, how many must sign, until when',
    rotate: 'Write a change of keys to be signed, or put a signed one in place',
    sign: 'Read a change, and sign it with keys that are here',
  };
  for (const [name, text] of Object.entries(does)) addImageCommand(keys, desk, name, ['keys', name], text);
}
