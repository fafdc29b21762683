import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { printable } from '../../protocol/printable.ts';
import { freeSpaceAt } from '../disk-space.ts';
import { requireFreePort } from '../free-port.ts';
import { listenPolicy } from '../listen-policy.ts';
import { type RunningServer, startServer } from '../server.ts';
import { StartError } from '../start-error.ts';
import { commandTexts, startTexts } from '../texts.ts';
import { tlsOf } from '../tls-files.ts';
import { builtAtMs } from '../version.ts';
import { writeTokenFile } from './token-file.ts';

/** A clean stop takes no longer than this. */
const stopMs = 5_000;

export interface ServeOptions {
  readonly data: string;
  readonly host: string;
  readonly port?: number;
  readonly paceS: number;
  readonly publicUrl: readonly string[];
  readonly openToThisHost?: boolean;
  readonly trustedProxy: readonly string[];
  readonly connectionsMax: number;
  readonly connectionsPerPeer: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** `serve`: starts the server, and stops it on a signal. @throws StartError */
export async function serve(options: ServeOptions): Promise<void> {
  const { host, port = null, tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new StartError('tls-invalid', startTexts.oneTlsFile, startTexts.oneTlsFileNext);
  }
  const tls = tlsCert && tlsKey ? tlsOf(resolve(tlsCert), resolve(tlsKey)) : null;
  const listen = listenPolicy({
    host,
    port,
    tls,
    publicUrls: options.publicUrl,
    openToThisHost: options.openToThisHost === true,
    trustedProxies: options.trustedProxy,
  });
  const data = resolve(options.data);
  // Standard output is for the one line that says where the server is; the log goes to standard error.
  const standardError = pino.destination(2);
  const log = pino(
    { redact: ['req.headers.authorization', 'req.headers.cookie'] },
    { write: (line: string) => standardError.write(printable(line)) },
  );
  // A start that cannot listen leaves no half made directory for the next one to take for its own.
  if (port !== null && port !== 0 && !existsSync(data)) await requireFreePort(host, port);
  const server = await startServer({
    data,
    paceS: options.paceS,
    listen,
    connections: { all: options.connectionsMax, perPeer: options.connectionsPerPeer },
    nowMs: () => Date.now(),
    monoMs: () => performance.now(),
    processMs: () => performance.now(),
    builtAtMs: builtAtMs(),
    freeAt: freeSpaceAt,
    log,
  });
  if (options.tokenFile) settleTokenFile(resolve(options.tokenFile), server);
  // Before the line is out: its reader may stop the server at once.
  stopOnSignal(server);
  announce(server, data, options);
}

/** A token is written when it is made. Of an older one only the digest is left; then a message says so. */
function settleTokenFile(path: string, server: RunningServer): void {
  if (server.token !== null) {
    writeTokenFile(path, server.token, commandTexts.nextStartMakesAnother);
    return;
  }
  const kept = readIfThere(path);
  if (kept !== null && server.isToken(kept.trim())) return;
  const what = kept === null ? commandTexts.tokenFileNotWritten : commandTexts.tokenFileOfAnother;
  process.stderr.write(printable(commandTexts.tokenFileStaysNext(commandTexts.tokenFileStays(path, what))));
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null; // for any reason: the file has no token that we can read
    throw error;
  }
}

function announce(server: RunningServer, data: string, options: ServeOptions): void {
  const { url, token } = server;
  const hashAt = commandTexts.digestOnly(join(data, 'server.db'));
  if (options.json) {
    // What has a file of its own is not for a journal.
    const shown = options.tokenFile ? { tokenFile: resolve(options.tokenFile) } : { token, tokenFile: null };
    const first = token === null ? {} : { ...shown, tokenStored: hashAt };
    say(`${JSON.stringify({ event: 'listening', url, data, pid: process.pid, ...first })}\n`, server);
    return;
  }
  const { tokenFile } = options;
  const told = tokenFile
    ? commandTexts.tokenWrittenTo(resolve(tokenFile), hashAt)
    : commandTexts.firstToken(token ?? '', hashAt);
  const first = token === null ? '' : told;
  say(commandTexts.listens(url, first), server);
}

/** A token counts as shown when its line is out; until then the next start makes another one. */
function say(line: string, server: RunningServer): void {
  process.stdout.write(printable(line), (error) => {
    if (!error && server.token !== null) server.tokenWasShown();
  });
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
        process.stderr.write(printable(commandTexts.stopFailed(String(error))));
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // From a terminal that closes: nobody sees this server any more, so stop. From a supervisor: reload.
  process.on('SIGHUP', process.stdin.isTTY ? stop : () => server.reload());
}
