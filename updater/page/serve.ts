import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { ListenOptions, Socket } from 'node:net';
import type { Layout } from '../../protocol/layout.ts';
import { pageTexts } from '../words/texts.ts';
import { Attempts } from './attempts.ts';
import { Connections } from './connections.ts';
import type { PageEffects } from './effects.ts';
import { type Guard, hostsOf } from './guard.ts';
import { answer, type PageContext } from './page.ts';
import { PasswordWaits } from './password-waits.ts';
import { type Peer, peersOf } from './peers.ts';
import { Uploads } from './uploads.ts';

const limits = {
  /** Limits for slow senders: the head of a request, silence in between, and the longest upload. */
  headersTimeout: 10_000,
  requestTimeout: 60 * 60_000,
  keepAliveTimeout: 5_000,
  /** How often the server checks for slow heads. */
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
} as const;
const silenceMs = 30_000;
const handshakeMs = 10_000;
/** For a form, and for a file whose sender has not shown the PIN. */
const bodyMs = 60_000;
const stopMs = 2_000;

export interface PageOptions {
  readonly layout: Layout;
  readonly effects: PageEffects;
  /** Where to listen: host and port, or a socket that systemd holds. */
  readonly listen: ListenOptions | { readonly fd: number };
  /** Names besides those of loopback by which browsers may reach the page. */
  readonly names: readonly string[];
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | null;
  readonly password: string | null;
  /** The limit for slow bodies, when it is not the usual one. */
  readonly bodyMs?: number;
  /** Finds the peers of connections, when the kernel is not asked. */
  readonly peersOf?: (sockets: readonly Socket[]) => readonly Peer[];
  /** Called for each request that arrives. */
  onRequest(): void;
}

export interface RunningPage {
  readonly port: number;
  readonly scheme: Guard['scheme'];
  /** Serves a renewed certificate, starting with the next connection. */
  renew(tls: NonNullable<PageOptions['tls']>): void;
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

/**
 * A body that does not come holds no connection for long; a file may come as slowly as it likes once its PIN was right.
 */
function boundBody(connections: Connections, request: IncomingMessage, response: ServerResponse, ms: number): void {
  let slow: NodeJS.Timeout;
  const look = (): void => {
    if (request.complete) return;
    if (connections.isSending(request)) {
      slow = setTimeout(look, ms).unref();
      return;
    }
    const head = 'content-type: text/plain; charset=utf-8\r\nconnection: close';
    const text = pageTexts.tookTooLong;
    if (!response.headersSent) request.socket.write(`HTTP/1.1 408 Request Timeout\r\n${head}\r\n\r\n${text}`);
    request.socket.destroySoon();
  };
  slow = setTimeout(look, ms).unref();
  response.once('close', () => {
    connections.ended(request);
    if (request.complete) clearTimeout(slow);
  });
}

/** Starts the page. @throws the system's errors when it cannot listen */
export async function servePage(options: PageOptions): Promise<RunningPage> {
  const { layout, effects, tls, password, names } = options;
  const uploads = new Uploads(effects, layout);
  uploads.tidy();
  const scheme = tls === null ? 'http' : 'https';
  const attempts = new Attempts(effects, layout);
  const connections = new Connections({
    peersOf: options.peersOf ?? ((sockets) => peersOf(effects.files, layout, sockets)),
    isTls: tls !== null,
    log: effects.log,
  });
  let context: PageContext | null = null;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // Nothing that a refused connection sent is read.
    if (!connections.begin(request, response)) return void request.socket.destroy();
    options.onRequest();
    boundBody(connections, request, response, options.bodyMs ?? bodyMs);
    if (context === null) {
      response.writeHead(503).end();
      return;
    }
    answer(context, request, response).catch((error: unknown) => {
      if (request.destroyed && !request.complete) return; // the browser went away in the middle
      effects.log(`${request.method} ${request.url}: ${error instanceof Error ? error.stack : String(error)}`);
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(pageTexts.ownError);
    });
  };
  const server =
    tls === null
      ? createServer(limits, onRequest)
      : createTlsServer({ ...limits, handshakeTimeout: handshakeMs, ...tls }, onRequest);
  server.on('connection', (socket: Socket) => connections.open(socket));
  server.setTimeout(silenceMs);
  const port = await listening(server, options.listen);
  const guard: Guard = { scheme, hosts: hostsOf(scheme, names, port), password };
  const passwordWaits = new PasswordWaits();
  context = { effects, layout, attempts, uploads, connections, guard, passwordWaits };
  const renew: RunningPage['renew'] = (renewed) => {
    if (server instanceof TlsServer) server.setSecureContext(renewed);
  };
  return { port, scheme, renew, stop: () => stopped(server) };
}
