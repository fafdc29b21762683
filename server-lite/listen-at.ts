import type { FastifyInstance } from 'fastify';
import { keepPort, portsToTry } from './kept-port.ts';
import type { Listen } from './listen-policy.ts';
import { listenError } from './start-error.ts';
import type { Settings } from './store/settings.ts';
import { logTexts } from './texts.ts';

/** @throws StartError `address-in-use`, `address-not-usable` */
export async function listenAt(
  app: FastifyInstance,
  settings: Settings,
  { host, port: asked, tls }: Listen,
): Promise<string> {
  // The server is ours, so Fastify does not know what it speaks.
  const schemeOf = (address: string) => (tls === null ? address : address.replace(/^http:/, 'https:'));
  const ports = portsToTry(settings, asked);
  for (const [index, port] of ports.entries()) {
    let address: string;
    try {
      address = await app.listen({ host, port, listenTextResolver: (at) => logTexts.listensAt(schemeOf(at)) });
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken || index + 1 === ports.length) throw listenError(error, host, port);
      continue;
    }
    // Outside: what the database refuses is not the address's fault.
    keepPort(settings, asked, Number(new URL(address).port) || port);
    return schemeOf(address);
  }
  throw new TypeError('no port was tried');
}
