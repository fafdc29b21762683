import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Misbehaviour, sendFile } from '../release-server.ts';

/** An answer of the server to a check-in, on its way. */
export interface PassingAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What becomes of an answer to a check-in. `request` is the signed request that it belongs to. */
export type Lie = (answer: PassingAnswer, request: { readonly signature: string }) => PassingAnswer;

/** Headers that a signed answer needs; the rest belongs to one connection. */
const passed = ['content-type', 'content-digest', 'signature-input', 'signature'] as const;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** Between one appliance and its server: honest, until it is told otherwise. */
export class MisbehavingProxy {
  readonly #upstream: string;
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  url = '';
  /** Files: each request for one, whether it is misbehaved or not. */
  misbehaviour: Misbehaviour | null = null;
  lie: Lie | null = null;
  /** `POST /v1/checkin` and the like, since the start. */
  readonly requests: string[] = [];

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** The cable is out: nothing answers here any more. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    this.requests.push(`${request.method} ${path}`);
    if (request.method === 'GET') return this.#file(path, request, response);
    const { signature = '', host: _host, connection: _connection, ...headers } = request.headers;
    const body = await bodyOf(request);
    const upstream = await fetch(this.#upstream + path, {
      method: request.method ?? 'POST',
      headers: {
        ...(headers as Record<string, string>),
        ...(signature === '' ? {} : { signature: String(signature) }),
      },
      body,
    });
    const kept = passed.flatMap((name) => {
      const value = upstream.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    const answer: PassingAnswer = {
      status: upstream.status,
      headers: Object.fromEntries(kept),
      body: Buffer.from(await upstream.arrayBuffer()),
    };
    const told = this.lie?.(answer, { signature: String(signature) }) ?? answer;
    response.writeHead(told.status, told.headers).end(told.body);
  }

  async #file(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const upstream = await fetch(this.#upstream + path);
    const bytes = upstream.ok ? Buffer.from(await upstream.arrayBuffer()) : null;
    if (this.misbehaviour?.(request, response, { path, bytes }) !== true) sendFile(request, response, bytes);
  }
}
