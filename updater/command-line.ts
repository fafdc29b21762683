import type { Layout } from '../protocol/layout.ts';
import type { Clock } from './effects/clock.ts';
import type { Files } from './effects/files.ts';

/** What every command of the appliance has in common. */

/** What a command works with. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly options: {
    readonly root: string;
    readonly server?: string | undefined;
    readonly claim?: string | undefined;
    readonly 'claim-file'?: string | undefined;
    readonly factory: string;
    readonly port?: string | undefined;
    readonly host?: string | undefined;
    readonly json: boolean;
    readonly wait: boolean;
    readonly 'data-age'?: string | undefined;
    readonly rollback: boolean;
    readonly help: boolean;
    readonly version: boolean;
  };
  readonly version: string;
  /** When this program was built, in seconds since 1970; 0: unknown. */
  readonly builtAtS: number;
  /** The directory that it lies in: a slot, or the operating system's part. */
  readonly home: string;
  readonly layout: Layout;
  readonly files: Files;
  readonly clock: Clock;
  print(text: string): void;
  complain(text: string): void;
}

/** Exit statuses: done; refused or failed; not called rightly. */
export const exitOk = 0;
export const exitFailed = 1;
export const exitUsage = 64;

export function usage(line: CommandLine, text: string): number {
  line.complain(`${text}\nTry: holdfast-updater --help`);
  return exitUsage;
}

export function say(line: CommandLine, text: string, value: unknown): number {
  line.print(line.options.json ? JSON.stringify(value) : text);
  return exitOk;
}

export function fail(line: CommandLine, code: string, message: string, next: string): number {
  line.complain(line.options.json ? JSON.stringify({ code, message, next }) : `${code}: ${message}\n${next}`);
  return exitFailed;
}
