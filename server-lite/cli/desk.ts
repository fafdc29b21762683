import type { OutputConfiguration } from 'commander';
import type { Api } from './api.ts';
import type { ConnectionPlaces } from './connection.ts';

/** Everything outside that the commands use. */
export interface Surroundings {
  readonly print: (text: string) => void;
  /** Where help and messages about wrong usage go. */
  readonly output: OutputConfiguration;
  readonly sleep: (ms: number) => Promise<void>;
  readonly version: string;
  readonly places: ConnectionPlaces;
  /** Asks the person for the token of a server. */
  readonly askToken: (url: string) => Promise<string>;
  /** The package's directory. */
  readonly root: string;
}

/** What a command gets: the API, made when it is first used, and the one way to print. */
export interface Desk {
  readonly surroundings: Surroundings;
  readonly api: () => Api;
  readonly wantsJson: () => boolean;
  /** Prints a note beside the answer, on standard error; with --json the answer holds it. */
  readonly note: (text: string) => void;
  /** Prints an answer in the form of `plain`; with --json one value a line, for a list each of its values. */
  readonly show: <Value>(value: Value, plain: (value: Value) => string) => void;
}
