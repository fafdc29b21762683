import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';

const agent = { state: 'active', pid: 1, crashes: 0, lastExit: null, lastOutput: '' };

/** A process control that says of everything that it is done, on a socket: the agent lives, and says nothing. */
export async function obedientSupervisor(socket: string): Promise<Server> {
  mkdirSync(dirname(socket), { recursive: true });
  rmSync(socket, { force: true });
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    connection.resume();
    connection.on('end', () => connection.end(JSON.stringify({ ok: true, agent })));
    connection.on('error', () => connection.destroy());
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return server;
}
