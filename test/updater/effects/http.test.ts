import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { makeHttp } from '../../../updater/effects/http.ts';
import { patienceMs } from '../../support/world/wait.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Answers with a page, and never closes a connection by itself. */
async function clingingServer(): Promise<{ url: string; connection: Promise<Socket> }> {
  const server = createServer((_request, response) => response.end('<html>please log in</html>'));
  server.keepAliveTimeout = 0;
  servers.push(server);
  const connection = once(server, 'connection').then(([socket]) => socket as Socket);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, connection };
}

describe('one exchange', () => {
  it.each(['reads the answer', 'leaves it unread'])(
    'leaves no connection behind that would keep the updater from ending, when it %s',
    async (what) => {
      const { url, connection } = await clingingServer();
      const seen = await makeHttp().stream({ url, totalMs: patienceMs }, async ({ status, body }) => {
        if (what === 'reads the answer') for await (const _part of body);
        return status;
      });
      expect(seen).toBe(200);
      const socket = await connection;
      // Without end the test ends by its own time limit.
      if (!socket.closed) await once(socket, 'close');
    },
  );
});
