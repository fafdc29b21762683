import { createServer } from 'node:net';
import { listenError } from './start-error.ts';

/** Another program may still take the port before the server does. @throws StartError as listening does */
export function requireFreePort(host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const probe = createServer();
  probe.once('error', (error) => reject(listenError(error, host, port)));
  probe.listen({ host, port }, () => probe.close(() => resolve()));
  return promise;
}
