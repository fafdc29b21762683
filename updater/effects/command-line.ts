import { exitDone, exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import type { Layout } from '../../protocol/layout.ts';
import { inOneLine } from '../../protocol/printable.ts';
import { helpTexts } from '../words/texts.ts';
import type { Clock } from './clock.ts';
import { helpFor } from './command-help.ts';
import type { Files } from './files.ts';

/** What every command of the appliance has in common. */

/** HTTPS_PROXY, HTTP_PROXY and NO_PROXY of this process; only set-up reads them. */
export interface ProxyEnvironment {
  readonly https: string | undefined;
  readonly http: string | undefined;
  readonly none: string | undefined;
}

export interface CommandLine {
  readonly words: readonly string[];
  readonly options: {
    readonly root: string;
    readonly server?: string | undefined;
    readonly claim?: string | undefined;
    readonly 'claim-file'?: string | undefined;
    readonly 'new-identity'?: boolean | undefined;
    readonly 'new-pin'?: boolean | undefined;
    readonly proxy?: string | undefined;
    readonly 'proxy-file'?: string | undefined;
    readonly ca?: string | undefined;
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
  readonly proxies: ProxyEnvironment;
  readonly version: string;
  /** When this program was built, in seconds since 1970; 0: unknown. */
  readonly builtAtS: number;
  /** The directory of this program: a slot, or the operating system's part. */
  readonly home: string;
  readonly layout: Layout;
  readonly files: Files;
  readonly clock: Clock;
  print(text: string): void;
  complain(text: string): void;
}

export function usage(line: CommandLine, text: string): number {
  const next = helpTexts.tryHelp(helpFor(line));
  line.complain(
    line.options.json ? JSON.stringify({ code: 'usage', message: text, next }) : `${inOneLine(text)}\n${next}`,
  );
  return exitUsage;
}

/** With --json, one value per line; a list becomes one line per value. */
export function say(line: CommandLine, text: string, value: unknown): number {
  if (!line.options.json) line.print(text);
  else for (const one of Array.isArray(value) ? value : [value]) line.print(JSON.stringify(one));
  return exitDone;
}

/** Where a command complains, and in which form. */
type Complaints = Pick<CommandLine, 'complain'> & { readonly options: Pick<CommandLine['options'], 'json'> };

export function fail(line: Complaints, code: string, message: string, next: string): number {
  // The code stands in front: a message that names it in brackets, as it stands elsewhere, would say it twice.
  const plain = inOneLine(message.replace(` (${code})`, ''));
  line.complain(line.options.json ? JSON.stringify({ code, message, next }) : `${code}: ${plain}\n${inOneLine(next)}`);
  return exitFailed;
}
