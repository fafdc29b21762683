import { Command } from 'commander';
import { cliTexts } from '../texts.ts';
import { apiOf } from './api.ts';
import { addApplianceCommands } from './appliance-commands.ts';
import { addConnectCommand } from './connect-command.ts';
import { type ConnectionOptions, findConnection } from './connection.ts';
import { addDemoCommands } from './demo-commands.ts';
import type { Desk, Surroundings } from './desk.ts';
import { addKeyCommands } from './key-commands.ts';
import { addOrderCommands } from './order-commands.ts';
import { addReleaseCommands } from './release-commands.ts';
import { addRolloutCommands } from './rollout-commands.ts';
import { addServerCommands } from './server-commands.ts';
import { addSettingsCommands } from './settings-commands.ts';

type GlobalOptions = ConnectionOptions & { readonly json?: boolean };

export function makeProgram(surroundings: Surroundings): Command {
  const program = new Command('holdfast')
    .description(cliTexts.program)
    .version(surroundings.version)
    .configureOutput(surroundings.output)
    .option('--server <url>', cliTexts.serverOption)
    .option('--token-file <file>', cliTexts.tokenFileOption)
    .option('--profile <name>', cliTexts.profileOption)
    .option('--allow-http', cliTexts.allowHttpOption)
    .option('--json', cliTexts.jsonOption)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', cliTexts.programAfter(surroundings.places.directory));
  const desk: Desk = {
    surroundings,
    api: () => apiOf(findConnection(program.opts<GlobalOptions>(), surroundings.places)),
    wantsJson: () => program.opts<GlobalOptions>().json === true,
    note: (text) => {
      if (!desk.wantsJson()) surroundings.output.writeErr?.(`${text}\n`);
    },
    show: (value, plain) => {
      if (!desk.wantsJson()) surroundings.print(plain(value));
      else for (const one of Array.isArray(value) ? value : [value]) surroundings.print(JSON.stringify(one));
    },
  };
  addConnectCommand(program, desk);
  addApplianceCommands(program, desk);
  addOrderCommands(program, desk);
  addReleaseCommands(program, desk);
  addKeyCommands(program, desk);
  addRolloutCommands(program, desk);
  addServerCommands(program, desk);
  addSettingsCommands(program, desk);
  addDemoCommands(program, desk);
  return program;
}
