import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A collector for a desk: it takes rows, each number once, unless it is out of order. */
export class Collector {
  readonly rows = new Map<number, { readonly kWh: number }>();
  isDown = false;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk) => {
        text += chunk;
      });
      request.on('end', () => {
        const { rows } = JSON.parse(text) as { rows: { n: number; row: { kWh: number } }[] };
        if (!this.isDown) for (const { n, row } of rows) this.rows.set(n, row);
        response.writeHead(this.isDown ? 503 : 200).end();
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
