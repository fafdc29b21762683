import { createServer, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { listening, type SiteProxy } from './listening.ts';

/** Answers everything with one status, as a proxy does that wants a password, or a cache that has nothing. */
export function startRefusingProxy(status: number, body = '<html>no</html>'): Promise<SiteProxy> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status, { 'content-type': 'text/html' }).end(body);
  });
  server.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\n\r\n`);
  });
  return listening(server, asked);
}

/** A portal that wants somebody to log in: 200 and a page, whatever is asked. */
export function startCaptivePortal(): Promise<SiteProxy> {
  return startRefusingProxy(200, '<html><body>Welcome to the guest network. Please log in.</body></html>');
}
