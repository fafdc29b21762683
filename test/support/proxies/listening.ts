import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** Something on a port of loopback that a site may have in between. */
export interface SiteProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** What it was asked for, e.g. `GET http://…` or `CONNECT host:443`. */
  readonly asked: string[];
}

/** Listens, and ends with every connection when it is disposed of. */
export async function listening(
  server: Server | import('node:net').Server,
  asked: string[],
  port = 0,
): Promise<SiteProxy> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${own}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
