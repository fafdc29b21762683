import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type CheckInAnswerInput,
  type CheckInRequest,
  checkInBytesMax,
  checkInPath,
  checkInRequestShape,
  type DesiredInput,
} from '../../protocol/check-in.ts';
import type { Event } from '../../protocol/event.ts';
import { type OrderInput, orderPayloadType } from '../../protocol/order.ts';
import { generateKeyPair, type KeyPair, type PublicKey } from '../../protocol/trust/ed25519.ts';
import { type Envelope, sealEnvelope } from '../../protocol/trust/envelope.ts';
import { type RequestParts, signAnswer, verifyRequest } from '../../protocol/trust/http-signature.ts';
import { asSigned } from './as-signed.ts';

/** How the next answers are given: honestly, or as a named misbehaviour. */
export type Conduct =
  | 'honest'
  /** A signed 409 with the greatest number there is. */
  | 'counter-beyond'
  | 'unsigned'
  | 'foreign-key'
  | 'for-another-request'
  | 'html'
  | 'error-500'
  /** Signed: the sender's quota of events is used up. */
  | 'over-quota'
  /** Signed: it does not go by the name that a request is signed for. */
  | 'name-unknown'
  | 'retired';

/**
 * The smallest server that an agent can tell from no impostor: it verifies requests, stores events, acknowledges them
 * and signs its answers. Tests read its fields.
 */
export class SigningServer {
  readonly answerKeys: KeyPair = generateKeyPair();
  readonly requests: CheckInRequest[] = [];
  /** Of each request: does its signature cover authority and query? */
  readonly isTargetSigned: boolean[] = [];
  /** It was put back to a version that knows the first profile only: the other one it refuses, unsigned. */
  isOld = false;
  /** Of the answers to them, in their order; null: not signed. */
  readonly signatures: (string | null)[] = [];
  readonly events = new Map<number, Event>();
  /** Envelopes that go out with each answer until the order's end was reported. */
  readonly envelopes = new Map<string, Envelope>();
  /** How often each order was handed out. */
  readonly deliveries = new Map<string, number>();
  readonly problems: string[] = [];
  conduct: Conduct = 'honest';
  nextInS = 0.2;
  epoch = 'epoch-1';
  issuedAtS = 1_700_000_000;
  /** false: events are stored, but not acknowledged. */
  acknowledges = true;
  /** Says by id what it has, as servers do now; else by number, as those before them. */
  namesStored = false;
  /** What it says beside, whatever it has. */
  says: Partial<CheckInAnswerInput> = {};
  lastSeq = 0;
  /** What an updater is told to install. */
  desired: DesiredInput | null = null;
  /** Answers what is no check-in; without it, such a request is a problem. */
  elsewhere: ((request: IncomingMessage, response: ServerResponse) => void) | null = null;
  /** Requests for /health, which a network test makes; while it stalls they get no answer. */
  healthRequests = 0;
  healthStalls = false;
  url = '';
  readonly #agentKey: PublicKey;
  readonly #server: Server;

  constructor(agentKey: PublicKey) {
    this.#agentKey = agentKey;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch((error: unknown) => {
        this.problems.push(String(error));
        response.writeHead(500).end();
      });
    });
  }

  async start(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.url = `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Queues an order; by default signed by the key that signs answers. */
  order(order: OrderInput, key: KeyPair = this.answerKeys): void {
    this.envelopes.set(order.id, sealEnvelope(orderPayloadType, order, key.privateKey));
  }

  /** The states that were reported of an order, in order. */
  orderStates(id: string): unknown[] {
    return this.#sorted().flatMap((event) => (event.order?.id === id ? [event.order.state] : []));
  }

  orderEnd(id: string): NonNullable<Event['order']> | undefined {
    return this.#sorted().findLast((event) => event.order?.id === id)?.order;
  }

  records(): { name: string; sha256: string }[] {
    return this.#sorted().flatMap((event) => (event.record === undefined ? [] : [event.record]));
  }

  /** Every number from 1 up to this is stored. */
  contiguous(): number {
    let n = 0;
    while (this.events.has(n + 1)) n += 1;
    return n;
  }

  #sorted(): Event[] {
    return [...this.events.values()].sort((a, b) => a.n - b.n);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const body = Buffer.concat(chunks);
    if (request.url === '/health') {
      this.healthRequests += 1;
      if (!this.healthStalls) response.writeHead(200).end('{}');
      return;
    }
    const parts = asSigned<RequestParts>(request.headers, {
      method: request.method ?? '',
      path: request.url ?? '',
      body,
    });
    if (parts.path !== checkInPath && this.elsewhere !== null) return this.elsewhere(request, response);
    if (parts.path !== checkInPath) throw new Error(`unexpected request ${parts.method} ${parts.path}`);
    if (body.length > checkInBytesMax) throw new Error(`a check-in of ${body.length} bytes`);
    if (request.headers.cookie !== undefined) throw new Error('a cookie');
    this.isTargetSigned.push(parts.target !== undefined);
    if (this.isOld && parts.target !== undefined) return void response.writeHead(401).end('{}');
    verifyRequest(parts, request.headers, this.#agentKey);
    const parsed = checkInRequestShape.parse(JSON.parse(body.toString()));
    this.requests.push(parsed);

    const { status, text } = this.#decide(parsed);
    const bytes = Buffer.from(text);
    const bound = this.conduct === 'for-another-request' ? `hf=:${'A'.repeat(86)}==:` : request.headers.signature;
    const key = this.conduct === 'foreign-key' ? generateKeyPair() : this.answerKeys;
    const isSigned = !['unsigned', 'html', 'error-500'].includes(this.conduct);
    const headers = isSigned ? signAnswer({ status, body: bytes }, parts, String(bound), key.privateKey) : null;
    this.signatures.push(headers?.signature ?? null);
    response.writeHead(status, { ...headers }).end(bytes);
  }

  #decide(request: CheckInRequest): { status: number; text: string } {
    if (this.conduct === 'html') return { status: 200, text: '<html>please log in</html>' };
    if (this.conduct === 'error-500') return { status: 500, text: 'out of order' };
    if (this.conduct === 'counter-beyond') {
      return { status: 409, text: JSON.stringify({ code: 'counter-too-low', next: Number.MAX_SAFE_INTEGER }) };
    }
    if (this.conduct === 'over-quota') {
      return { status: 429, text: JSON.stringify({ code: 'events-over-quota', message: 'too many', next: 'later' }) };
    }
    if (this.conduct === 'name-unknown' && request.features.includes('authority'))
      return { status: 421, text: JSON.stringify({ code: 'authority-unknown', message: 'not by that name' }) };
    if (this.conduct === 'retired') return { status: 410, text: '{}' };
    if (this.conduct === 'honest' || this.conduct === 'name-unknown') {
      if (request.seq <= this.lastSeq) {
        return { status: 409, text: JSON.stringify({ code: 'counter-too-low', next: this.lastSeq + 1 }) };
      }
      this.lastSeq = request.seq;
      for (const event of request.events) this.#store(event);
    }
    this.issuedAtS += 1;
    const answer: CheckInAnswerInput = {
      etag: `etag-${this.requests.length}`,
      issuedAt: this.issuedAtS,
      epoch: this.epoch,
      nextInS: this.nextInS,
      // A liar claims to have everything.
      ackUpto:
        this.conduct === 'honest' || this.conduct === 'name-unknown'
          ? this.acknowledges
            ? this.contiguous()
            : 0
          : 1_000_000,
      orders: this.#due(),
      desired: this.desired,
      seen: {},
      ...(this.namesStored ? { stored: this.acknowledges ? request.events.map(({ id }) => id) : [] } : {}),
      ...this.says,
    };
    return { status: 200, text: JSON.stringify(answer) };
  }

  #store(event: Event): void {
    const known = this.events.get(event.n);
    if (known !== undefined && known.id !== event.id) this.problems.push(`two events have number ${event.n}`);
    this.events.set(event.n, event);
  }

  #due(): Envelope[] {
    const ended = new Set(['succeeded', 'failed', 'refused', 'unsupported']);
    const due = [...this.envelopes].filter(([id]) => !ended.has(String(this.orderEnd(id)?.state)));
    for (const [id] of due) this.deliveries.set(id, (this.deliveries.get(id) ?? 0) + 1);
    return due.slice(0, 8).map(([, envelope]) => envelope);
  }
}
