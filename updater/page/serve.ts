import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ListenOptions } from 'node:net';
import type { Layout } from '../../protocol/layout.ts';
import { Attempts } from './attempts.ts';
import type { PageEffects } from './effects.ts';
import { type Guard, hostsOf } from './guard.ts';
import { answer, type PageContext } from './page.ts';
import { Uploads } from './uploads.ts';

/** People on site, their browsers' spare connections, and a program that looks at status.json. */
const connectionsMax = 32;
const limits = {
  /** Slow senders: the head of a request, silence in between, and the longest upload. */
  headersTimeout: 10_000,
  requestTimeout: 60 * 60_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8 * 1024,
} as const;
const silenceMs = 30_000;
const stopMs = 2_000;

export interface PageOptions {
  readonly layout: Layout;
  readonly effects: PageEffects;
  /** Where to listen: host and port, or a socket that systemd holds. */
  readonly listen: ListenOptions | { readonly fd: number };
  /** Names beside loopback's under which the page may be asked for. */
  readonly names: readonly string[];
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | null;
  readonly password: string | null;
  /** Called for each request that arrives. */
  onRequest(): void;
}

export interface RunningPage {
  readonly port: number;
  readonly scheme: Guard['scheme'];
  stop(): Promise<void>;
}

function listening(server: Server, listen: PageOptions['listen']): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

function stopped(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), stopMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Starts the page. @throws the system's errors when it can not listen */
export async function servePage(options: PageOptions): Promise<RunningPage> {
  const { layout, effects, tls, password, names } = options;
  const uploads = new Uploads(effects, layout);
  uploads.tidy();
  const scheme = tls === null ? 'http' : 'https';
  const attempts = new Attempts(effects, layout);
  let context: PageContext | null = null;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    options.onRequest();
    if (context === null) {
      response.writeHead(503).end();
      return;
    }
    answer(context, request, response).catch((error: unknown) => {
      if (request.destroyed && !request.complete) return; // the browser went away in the middle
      effects.log(`${request.method} ${request.url}: ${error instanceof Error ? error.stack : String(error)}`);
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end('The page met an error of its own. Nothing was changed; try again.\n');
    });
  };
  const server = tls === null ? createServer(limits, onRequest) : createTlsServer({ ...limits, ...tls }, onRequest);
  server.maxConnections = connectionsMax;
  server.setTimeout(silenceMs);
  const port = await listening(server, options.listen);
  context = { effects, layout, attempts, uploads, guard: { scheme, hosts: hostsOf(scheme, names, port), password } };
  return { port, scheme, stop: () => stopped(server) };
}
