import type { Command } from 'commander';
import { cliTexts } from '../texts.ts';
import type { Desk } from './desk.ts';
import { addImageCommand } from './image-program.ts';

/** `holdfast keys`: the offline keys, in the operator's directory. No server is needed. */
export function addKeyCommands(program: Command, desk: Desk): void {
  const keys = program.command('keys').description(cliTexts.keys).enablePositionalOptions();
  const does = {
    init: cliTexts.keysInit,
    show: cliTexts.keysShow,
    rotate: cliTexts.keysRotate,
    sign: cliTexts.keysSign,
  };
  for (const [name, text] of Object.entries(does)) addImageCommand(keys, desk, name, ['keys', name], text);
}
