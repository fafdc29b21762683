import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { CliError } from './cli-error.ts';

const configShape = z.object({ url: z.url(), tokenFile: z.string().min(1) });

export interface Connection {
  readonly url: string;
  readonly token: string;
}

export interface ConnectionOptions {
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** The configuration file to read instead of `.holdfast/cli.json` in the working directory. */
  readonly config?: string | undefined;
}

/**
 * Where the server is and who asks: by options, else by the configuration file.
 * @throws CliError `not-configured`, `file-unreadable`
 */
export function findConnection(options: ConnectionOptions): Connection {
  const path = resolve(options.config ?? '.holdfast/cli.json');
  const file = existsSync(path) ? configOf(path) : null;
  const url = options.server ?? file?.url;
  const tokenFile = options.tokenFile ?? file?.tokenFile;
  if (url === undefined || tokenFile === undefined) {
    throw new CliError(
      'not-configured',
      'no server and token are named',
      `give --server URL and --token-file FILE, or write {"url","tokenFile"} to ${path}`,
    );
  }
  return { url: url.replace(/\/+$/, ''), token: textOf(tokenFile).trim() };
}

function configOf(path: string): z.infer<typeof configShape> {
  try {
    const config = configShape.parse(JSON.parse(textOf(path)));
    return { ...config, tokenFile: resolve(dirname(path), config.tokenFile) };
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
    throw new CliError('not-configured', `${path} is not {"url","tokenFile"}`, 'write it anew', { cause });
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CliError('file-unreadable', `${path} can not be read`, 'check its name and who may read it', { cause });
  }
}
