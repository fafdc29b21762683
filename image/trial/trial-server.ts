import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CheckInAnswerInput,
  checkInBytesMax,
  checkInPath,
  checkInRequestShape,
  ordersPerAnswerMax,
} from '../../protocol/check-in.ts';
import { harmlessOrderKinds, type OrderInput, orderPayloadType } from '../../protocol/order.ts';
import { generateKeyPair, type KeyPair, type PublicKey } from '../../protocol/trust/ed25519.ts';
import { type Envelope, sealEnvelope } from '../../protocol/trust/envelope.ts';
import { SignatureError, signAnswer, verifyRequest } from '../../protocol/trust/http-signature.ts';
import { wordOf } from '../../protocol/wire-enum.ts';

/** A newer server may send an unknown kind; the agent must say that it does not know it. */
const unknownKind = 'kind-of-the-future';
const argsOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  diagnostic: { query: 'readings', upTo: '1' },
  'run-duty': { duty: 'readings' },
  'run-order': { order: 'unknown' },
  'log-level': { level: 'info' },
};
const terminal: ReadonlySet<string> = new Set(['succeeded', 'failed', 'refused', 'unsupported', 'expired']);
const validForS = 600;
const paceS = 0.2;

interface TrialOrder {
  readonly kind: string;
  readonly id: string;
  /** The piece of a maker's work that it runs; null: another order. */
  readonly work: string | null;
  readonly envelope: Envelope;
}

/** How one run of a maker's work ended. */
export interface RanWork {
  readonly name: string;
  /** Empty: it succeeded. */
  readonly error: string;
}

/** The smallest server for one agent on trial: it verifies, gives one order of each kind, and watches how they end. */
export class TrialServer {
  readonly #server: Server;
  readonly #key: KeyPair = generateKeyPair();
  readonly #work: readonly string[];
  #orders: TrialOrder[] = [];
  /** The error of each order that has ended, by its id; empty: it succeeded. */
  readonly #ended = new Map<string, string>();
  readonly #seen = new Set<number>();
  #agentKey: PublicKey | null = null;
  #gives = false;

  private constructor(work: readonly string[]) {
    this.#work = work;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) =>
        response.destroy(error instanceof Error ? error : undefined),
      );
    });
  }

  /** @param work duties and checks of the release's maker, each of which is run once */
  static async start(work: readonly string[] = []): Promise<TrialServer> {
    const server = new TrialServer(work);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(0, '127.0.0.1', resolve);
    });
    return server;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  get answerKey(): PublicKey {
    return this.#key.publicKey;
  }

  /** The appliance that will check in, and whose orders these are. */
  expect(appliance: string, agentKey: PublicKey): void {
    this.#agentKey = agentKey;
    const expiresAtS = Math.floor(Date.now() / 1000) + validForS;
    const kinds = [...harmlessOrderKinds, unknownKind].map((kind) => ({ kind, args: argsOf[kind] ?? {}, work: null }));
    const runs = this.#work.map((work) => ({ kind: 'run-duty', args: { duty: work }, work }));
    this.#orders = [...kinds, ...runs].map(({ kind, args, work }) => {
      const id = randomUUID();
      const order: OrderInput = { version: 1, id, appliance, kind, expiresAtS, args: { ...args } };
      return { kind, id, work, envelope: sealEnvelope(orderPayloadType, order, this.#key.privateKey) };
    });
  }

  /** From now on each answer carries the orders: not before the agent is up, so that the cause of a crash is plain. */
  giveOrders(): void {
    this.#gives = true;
  }

  /** Kinds of the orders that have not ended yet. */
  left(): string[] {
    return this.#orders.filter(({ id }) => !this.#ended.has(id)).map(({ kind }) => kind);
  }

  /** How the runs of the maker's work ended. */
  ran(): RanWork[] {
    return this.#orders.flatMap(({ work, id }) =>
      work === null ? [] : [{ name: work, error: this.#ended.get(id) ?? '' }],
    );
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > checkInBytesMax) return void response.destroy();
      parts.push(Buffer.from(part));
    }
    const exchange = { method: request.method ?? '', path: request.url ?? '', body: Buffer.concat(parts) };
    // Every other path answers as well, for example for a network test.
    if (exchange.path !== checkInPath) return void response.writeHead(200).end('{}');
    try {
      verifyRequest(exchange, request.headers, this.#agentKey ?? undefined);
    } catch (error) {
      if (error instanceof SignatureError) return void response.writeHead(401).end('{}');
      throw error;
    }
    const bytes = Buffer.from(JSON.stringify(this.#note(exchange.body)));
    const signature = String(request.headers.signature);
    response.writeHead(200, { ...signAnswer({ status: 200, body: bytes }, exchange, signature, this.#key.privateKey) });
    response.end(bytes);
  }

  #note(body: Buffer): CheckInAnswerInput {
    const { events } = checkInRequestShape.parse(JSON.parse(body.toString('utf8')));
    for (const { n, order } of events) {
      this.#seen.add(n);
      if (order !== undefined && terminal.has(wordOf(order.state))) this.#ended.set(order.id, order.error ?? '');
    }
    let ackUpto = 0;
    while (this.#seen.has(ackUpto + 1)) ackUpto += 1;
    const left = this.#gives ? this.#orders.filter(({ id }) => !this.#ended.has(id)) : [];
    const orders = left.slice(0, ordersPerAnswerMax).map(({ envelope }) => envelope);
    const issuedAt = Math.floor(Date.now() / 1000);
    return { etag: `${ackUpto}`, issuedAt, epoch: 'trial', nextInS: paceS, ackUpto, orders, desired: null, seen: {} };
  }
}
