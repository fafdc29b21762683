import { createServer, type Server } from 'node:net';

/** A meter at the other end of a cable: it counts on, and its power can be set. */
export class SimulatedMeter {
  readonly #server: Server;
  #kWhTenths = 123_456;
  /** In kW. */
  power = 4.2;
  /** It takes the question and says nothing, as one whose display has crashed. */
  isSilent = false;

  constructor() {
    this.#server = createServer((socket) => {
      // Who hangs up in the middle harms nobody else.
      socket.on('error', () => socket.destroy());
      socket.once('data', () => {
        if (this.isSilent) return;
        this.#kWhTenths += 1;
        socket.end(`1.8.0=${this.#kWhTenths};1.7.0=${Math.round(this.power * 100)};32.7.0=2301\n`);
      });
    });
  }

  /** @returns its port */
  async start(port = 0): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

if (process.argv[1] === import.meta.filename) {
  const port = await new SimulatedMeter().start(Number(process.argv[2] ?? '5020'));
  process.stdout.write(`a meter answers on port ${port}, until Ctrl-C\n`);
}
