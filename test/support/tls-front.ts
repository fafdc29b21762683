import { connect } from 'node:net';
import { createServer } from 'node:tls';
import type { Certificate } from './certificate.ts';
import { listening, type SiteProxy } from './proxies/listening.ts';

/** TLS in front of a server that has none. `url` is its address. */
export async function startTlsFront(own: Certificate, behind: string): Promise<SiteProxy> {
  const { hostname, port } = new URL(behind);
  const server = createServer({ key: own.key, cert: own.cert }, (socket) => {
    const inside = connect(Number(port), hostname);
    socket.pipe(inside).pipe(socket);
    for (const one of [socket, inside]) one.on('error', () => one.destroy());
    socket.on('close', () => inside.destroy());
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const front = await listening(server, []);
  return { ...front, url: front.url.replace('http:', 'https:') };
}
