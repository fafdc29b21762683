import { parseArgs } from 'node:util';
import { pageTexts } from '../words/texts.ts';
import { isLoopback } from './guard.ts';

/** The least length of a page's password, needed when the page can be reached from elsewhere. */
export const passwordLengthMin = 12;

export const help = pageTexts.help(passwordLengthMin);

/** A command line that cannot be used. */
export class ArgumentsError extends Error {
  readonly code: 'usage' | 'not-loopback' | 'password-too-short' | 'tls-invalid';
  constructor(code: ArgumentsError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface ServeArguments {
  readonly kind: 'serve';
  readonly root: string;
  readonly host: string;
  readonly port: number;
  readonly names: readonly string[];
  readonly json: boolean;
  /** null: loopback only. */
  readonly exposed: { readonly tlsKey: string; readonly tlsCert: string; readonly passwordFile: string } | null;
}

export type Arguments = ServeArguments | { readonly kind: 'help' } | { readonly kind: 'version' };

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        root: { type: 'string', default: '/var/lib/holdfast' },
        port: { type: 'string', default: '7070' },
        host: { type: 'string', default: '127.0.0.1' },
        'tls-key': { type: 'string' },
        'tls-cert': { type: 'string' },
        'password-file': { type: 'string' },
        name: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    throw new ArgumentsError('usage', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** @throws ArgumentsError; `not-loopback` when the page would be reachable from elsewhere without TLS and a password */
export function readArguments(args: readonly string[]): Arguments {
  const values = parsed(args);
  if (values.help) return { kind: 'help' };
  if (values.version) return { kind: 'version' };
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ArgumentsError('usage', pageTexts.notAPort(values.port));
  }
  const { 'tls-key': tlsKey, 'tls-cert': tlsCert, 'password-file': passwordFile, root, host, json } = values;
  const isExposed = tlsKey !== undefined && tlsCert !== undefined && passwordFile !== undefined;
  if (!isExposed && !isLoopback(host)) {
    throw new ArgumentsError('not-loopback', pageTexts.open(host));
  }
  const names = isLoopback(host) ? values.name : [host, ...values.name];
  return {
    kind: 'serve',
    root,
    host,
    port,
    names,
    json,
    exposed: isExposed ? { tlsKey, tlsCert, passwordFile } : null,
  };
}
