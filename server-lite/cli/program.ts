import { Command } from 'commander';
import { type Api, apiOf } from './api.ts';
import { addApplianceCommands } from './appliance-commands.ts';
import { findConnection } from './connection.ts';
import { addDemoCommands } from './demo-commands.ts';
import { addKeyCommands } from './key-commands.ts';
import { addOrderCommands } from './order-commands.ts';
import { addReleaseCommands } from './release-commands.ts';
import { addRolloutCommands } from './rollout-commands.ts';

/** What the commands touch of the world around them. */
export interface Surroundings {
  readonly print: (text: string) => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly version: string;
  /** Value of HOLDFAST_CONFIG. */
  readonly config: string | undefined;
  /** The package's directory. */
  readonly root: string;
}

interface GlobalOptions {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** What a command gets: the API, made when it is used, and the one way to print. */
export interface Desk {
  readonly surroundings: Surroundings;
  readonly api: () => Api;
  readonly wantsJson: () => boolean;
  /** Prints an answer as one JSON line with --json, else as `plain` puts it. */
  readonly show: <Value>(value: Value, plain: (value: Value) => string) => void;
}

export function makeProgram(surroundings: Surroundings): Command {
  const program = new Command('holdfast')
    .description("The operator's command line of a Holdfast server.")
    .version(surroundings.version)
    .option('--server <url>', 'address of the server')
    .option('--token-file <file>', 'file that holds the operator token')
    .option('--json', 'print JSON, one value a line')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      '\nWithout --server and --token-file they are read from the file that HOLDFAST_CONFIG names,\nelse from .holdfast/cli.json: {"url", "tokenFile"}.\nExit status: 0 done, 1 refused or failed, 2 wrong usage.',
    );
  const desk: Desk = {
    surroundings,
    api: () => apiOf(findConnection({ ...program.opts<GlobalOptions>(), config: surroundings.config })),
    wantsJson: () => program.opts<GlobalOptions>().json === true,
    show: (value, plain) => {
      surroundings.print(desk.wantsJson() ? JSON.stringify(value) : plain(value));
    },
  };
  addApplianceCommands(program, desk);
  addOrderCommands(program, desk);
  addReleaseCommands(program, desk);
  addKeyCommands(program, desk);
  addRolloutCommands(program, desk);
  addDemoCommands(program, desk);
  return program;
}
