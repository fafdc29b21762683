import { open, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** Takes an exchange over (and returns true), or leaves it to the honest server. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse, file: ServedFile) => boolean;

export interface ServedFile {
  readonly path: string;
  /** All of the file; null when there is none. */
  readonly bytes: Buffer | null;
}

export interface ReleaseServer extends AsyncDisposable {
  /** Base of the release repository, as `desired.path` and the server's address make it. */
  readonly base: string;
  /** Requests since the start, as `GET /path bytes=0-1`. */
  readonly requests: readonly string[];
  /** Bytes of bodies that were sent, by path. */
  bytesSent(path: string): number;
  misbehave(misbehaviour: Misbehaviour | null): void;
}

/** Serves a directory with ranges on loopback, honestly until it is told otherwise. */
export async function startReleaseServer(directory: string): Promise<ReleaseServer> {
  const requests: string[] = [];
  const sent = new Map<string, number>();
  let misbehaviour: Misbehaviour | null = null;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    requests.push(`${request.method} ${path} ${request.headers.range ?? ''}`.trim());
    const write = response.write.bind(response);
    const count = (part: unknown) => sent.set(path, (sent.get(path) ?? 0) + (Buffer.isBuffer(part) ? part.length : 0));
    response.write = ((part: Buffer) => {
      count(part);
      return write(part);
    }) as typeof response.write;
    const bytes = await contentOf(join(directory, path.replace(/^\/releases\//, '')));
    if (misbehaviour?.(request, response, { path, bytes }) === true) return;
    sendFile(request, response, bytes);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    base: `http://127.0.0.1:${port}/releases`,
    requests,
    bytesSent: (path) => sent.get(`/releases/${path}`) ?? 0,
    misbehave: (next) => {
      misbehaviour = next;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve, reject) => {
        server.closeAllConnections();
        server.close((error) => (error ? reject(error) : resolve()));
      }),
  };
}

async function contentOf(path: string): Promise<Buffer | null> {
  const facts = await stat(path).catch(() => null);
  if (facts?.isFile() !== true) return null;
  const handle = await open(path);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

export interface RangeHead {
  readonly from: number;
  readonly to: number;
}

/** What a request asks of a file; null for the whole of it. */
export function rangeOf(request: IncomingMessage, size: number): RangeHead | null {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  return match === null ? null : { from: Number(match[1]), to: Math.min(Number(match[2]), size - 1) };
}

export function sendFile(request: IncomingMessage, response: ServerResponse, bytes: Buffer | null): void {
  if (bytes === null) {
    response.writeHead(404).end();
    return;
  }
  const range = rangeOf(request, bytes.length);
  const body = range === null ? bytes : bytes.subarray(range.from, range.to + 1);
  response.writeHead(range === null ? 200 : 206, {
    'content-length': body.length,
    ...(range === null ? {} : { 'content-range': `bytes ${range.from}-${range.to}/${bytes.length}` }),
  });
  response.write(body);
  response.end();
}
