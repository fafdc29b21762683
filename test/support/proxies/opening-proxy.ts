import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Certificate } from '../certificate.ts';
import { listening, type SiteProxy } from './listening.ts';

/** Opens TLS with a certificate of its own, whose authority nobody named, and answers in the server's place. */
export async function startOpeningProxy(own: Certificate): Promise<SiteProxy> {
  const asked: string[] = [];
  const inside = createTlsServer({ key: own.key, cert: own.cert }, (_request, response) =>
    response.end('by the proxy'),
  );
  const place = await listening(inside, []);
  const { port } = inside.address() as AddressInfo;
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(403).end('by TLS only');
  });
  server.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    const behind = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      behind.pipe(socket).pipe(behind);
    });
    for (const one of [behind, socket]) one.on('error', () => one.destroy());
    socket.on('close', () => behind.destroy());
  });
  const proxy = await listening(server, asked);
  return {
    ...proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}
