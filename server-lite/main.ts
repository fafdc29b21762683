#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { pino } from 'pino';
import { writeDurably } from './keys.ts';
import { listenPolicy } from './listen-policy.ts';
import { type RunningServer, startServer } from './server.ts';
import { releaseVersion } from './version.ts';

/** A clean stop takes no longer than this. */
const stopMs = 5_000;

interface ServeOptions {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly paceS: number;
  readonly publicUrl?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

function numberBetween(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max))
      throw new InvalidArgumentError(`between ${min} and ${max}`);
    return value;
  };
}

async function serve(options: ServeOptions): Promise<void> {
  const { host, port, tlsCert, tlsKey } = options;
  const tls = tlsCert && tlsKey ? { cert: readFileSync(tlsCert), key: readFileSync(tlsKey) } : null;
  const listen = listenPolicy({ host, port, tls, publicUrl: options.publicUrl ?? null });
  const data = resolve(options.data);
  // Standard output is for the one line that says where the server is; the log goes to standard error.
  const log = pino({ redact: ['req.headers.authorization', 'req.headers.cookie'] }, pino.destination(2));
  const server = await startServer({
    data,
    version: releaseVersion(),
    paceS: options.paceS,
    listen,
    nowMs: Date.now,
    log,
  });
  if (options.tokenFile && server.token) writeDurably(resolve(options.tokenFile), `${server.token}\n`, 0o600);
  // Before the line is out: whoever reads it may stop the server at once.
  stopOnSignal(server);
  announce(server, data, options);
}

function announce(server: RunningServer, data: string, options: ServeOptions): void {
  const { url, token } = server;
  const hashAt = `${join(data, 'server.db')} (digest only)`;
  if (options.json) {
    const first =
      token === null
        ? {}
        : { token, tokenFile: options.tokenFile ? resolve(options.tokenFile) : null, tokenStored: hashAt };
    process.stdout.write(`${JSON.stringify({ event: 'listening', url, data, pid: process.pid, ...first })}\n`);
    return;
  }
  const written = options.tokenFile ? `, written to ${resolve(options.tokenFile)}` : '';
  const first = token === null ? '' : ` · operator token ${token} (shown once${written}; stored in ${hashAt})`;
  process.stdout.write(`holdfast server listens on ${url}${first}\n`);
}

function stopOnSignal(server: RunningServer): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), stopMs).unref();
    server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`stop: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

const program = new Command('holdfast-server').description(
  'The Holdfast server: check-ins, releases, orders, dashboard.',
);
program.version(releaseVersion());
program
  .command('serve')
  .description('Serve until SIGTERM or SIGINT')
  .requiredOption('--data <dir>', 'where everything is kept')
  .option('--host <host>', 'address to listen on', '127.0.0.1')
  .option('--port <port>', 'port to listen on, 0: any free one', numberBetween(0, 65_535), 0)
  .option('--pace-s <seconds>', 'time between two check-ins of a program', numberBetween(0.2, 86_400), 60)
  .option('--public-url <url>', 'where appliances and people reach it')
  .option('--tls-cert <file>', 'certificate chain, PEM')
  .option('--tls-key <file>', 'private key, PEM')
  .option('--token-file <file>', 'where to write the operator token when it is made')
  .option('--json', 'print one JSON line')
  .action(serve);

program.parseAsync().catch((error: unknown) => {
  const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : '';
  process.stderr.write(`${code}${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
