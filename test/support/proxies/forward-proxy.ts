import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { listening, type SiteProxy } from './listening.ts';

export interface ForwardProxyOptions {
  /** `NAME:PASSWORD`, as it is, not encoded. */
  readonly credentials?: string;
  /** Names that only this proxy resolves, and where they are: `host:port`, or a host for any port. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Taken away from every path, as a reverse proxy does that serves something below it; what lies elsewhere is not there. */
  readonly stripPrefix?: string;
  /** It looks into what it passes for so long before it says the first byte. */
  readonly slowMs?: number;
}

/** A real proxy, for plain requests and CONNECT. */
export function startForwardProxy({
  credentials,
  hosts = {},
  stripPrefix = '',
  slowMs = 0,
}: ForwardProxyOptions = {}): Promise<SiteProxy> {
  const asked: string[] = [];
  const wanted = credentials === undefined ? null : `Basic ${Buffer.from(credentials).toString('base64')}`;
  const isAllowed = ({ headers }: IncomingMessage) => wanted === null || headers['proxy-authorization'] === wanted;
  const placeOf = (host: string, port: string) => {
    const [name = host, other = port] = (hosts[host] ?? host).split(':');
    return { host: name, port: Number(other) };
  };
  const server = createServer((incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    if (!isAllowed(incoming)) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="site"' }).end('who are you?');
      return;
    }
    const url = new URL(incoming.url ?? '');
    if (!url.pathname.startsWith(stripPrefix)) {
      response.writeHead(404).end('<html>the home of the site</html>');
      return;
    }
    const { 'proxy-authorization': _own, 'proxy-connection': _hop, ...headers } = incoming.headers;
    const place = placeOf(url.hostname, url.port || '80');
    const onward = httpRequest(
      {
        ...place,
        path: (url.pathname.slice(stripPrefix.length) || '/') + url.search,
        method: incoming.method,
        headers,
      },
      async (answer) => {
        await delay(slowMs);
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.writeHead(502).end('nobody there'));
    incoming.pipe(onward);
  });
  server.on('connect', (incoming, socket: Socket) => {
    asked.push(`CONNECT ${incoming.url}`);
    if (!isAllowed(incoming)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="site"\r\n\r\n');
      return;
    }
    const [host = '', port = '443'] = (incoming.url ?? '').split(':');
    const { host: name, port: number } = placeOf(host, port);
    const behind = connect(number, name, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      behind.pipe(socket).pipe(behind);
    });
    for (const one of [behind, socket]) one.on('error', () => [behind, socket].map((both) => both.destroy()));
    socket.on('close', () => behind.destroy());
  });
  return listening(server, asked);
}
