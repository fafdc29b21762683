import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { patienceMs, until } from './world/wait.ts';

const checkInHead = 'POST /v1/checkin HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
/** A check-in whose body does not come. */
export const slowBody = `${checkInHead}content-length: 100\r\n\r\n{`;

/** Raw connections from one address, and how many of them are still there. */
export class Crowd {
  readonly sockets: Socket[] = [];
  readonly url: URL;

  constructor(url: string) {
    this.url = new URL(url);
    onTestFinished(() => {
      for (const socket of this.sockets) socket.destroy();
    });
  }

  async add(count: number, text: string, from = '127.0.0.1'): Promise<Socket[]> {
    const added = Array.from({ length: count }, () => {
      const socket = connect({ host: this.url.hostname, port: Number(this.url.port), localAddress: from });
      // What the server resets is what this is about.
      socket.on('error', () => undefined);
      socket.write(text);
      return socket;
    });
    this.sockets.push(...added);
    await Promise.all(added.map((socket) => socket.readyState === 'open' || once(socket, 'connect')));
    return added;
  }

  /** Those that read nothing see their end only in a write. */
  open(sockets: readonly Socket[] = this.sockets): number {
    return sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
  }

  async shrinksTo(most: number, sockets?: readonly Socket[]): Promise<number> {
    return until('the crowd is closed', patienceMs, () => {
      const open = this.open(sockets);
      return open <= most ? open : null;
    });
  }
}
