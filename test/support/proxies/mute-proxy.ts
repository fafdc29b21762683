import { createServer } from 'node:net';
import { listening, type SiteProxy } from './listening.ts';

/** Takes connections and never says a word. @param port 0: any that is free */
export function startSilentProxy(port = 0): Promise<SiteProxy> {
  const asked: string[] = [];
  return listening(
    createServer((socket) => {
      socket.once('data', (bytes) => asked.push(bytes.toString('latin1').split('\r\n')[0] ?? ''));
    }),
    asked,
    port,
  );
}

/** Takes connections and ends them as soon as something is asked. */
export function startClosingProxy(): Promise<SiteProxy> {
  const asked: string[] = [];
  return listening(
    createServer((socket) => {
      socket.once('data', (bytes) => {
        asked.push(bytes.toString('latin1').split('\r\n')[0] ?? '');
        socket.destroy();
      });
    }),
    asked,
  );
}
