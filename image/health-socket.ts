import { createConnection } from 'node:net';
import { healthBytesMax, healthTimeoutMs } from '../protocol/health.ts';

/** @returns null if nobody answers there, or the answer does not end in time */
export function readSocket(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection(path);
    socket.setTimeout(healthTimeoutMs, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.length > healthBytesMax) socket.destroy();
    });
    // An error is followed by the close as well.
    socket.on('error', () => resolve(null));
    socket.on('end', () => resolve(text));
    socket.on('close', () => resolve(null));
  });
}
