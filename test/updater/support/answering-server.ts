import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import {
  type CheckInAnswerInput,
  type CheckInRequest,
  checkInPath,
  checkInRequestShape,
} from '../../../protocol/check-in.ts';
import { generateKeyPair, type KeyPair, type PublicKey } from '../../../protocol/trust/ed25519.ts';
import { type RequestParts, signAnswer, verifyRequest } from '../../../protocol/trust/http-signature.ts';
import { asSigned } from '../../support/as-signed.ts';

/** What goes out for one request. `signed` is the server's own key unless the test says otherwise. */
export interface PlannedAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signed?: 'own-key' | 'foreign-key' | 'for-another-request' | 'not';
  /** The connection ends without an answer. */
  readonly hangsUp?: boolean;
}

/** A real server whose answers the test plans one by one; the last one is given again and again. */
export class AnsweringServer {
  readonly key: KeyPair = generateKeyPair();
  readonly requests: CheckInRequest[] = [];
  readonly bodies: Buffer[] = [];
  /** Of each request: does its signature cover authority and query? */
  readonly isTargetSigned: boolean[] = [];
  /** It was put back to a version that knows the first profile only: the other one it refuses, unsigned. */
  isOld = false;
  plan: PlannedAnswer[] = [];
  url = '';
  readonly #client: PublicKey;

  constructor(client: PublicKey) {
    this.#client = client;
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(new Error(String(error))));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.url = `http://127.0.0.1:${address.port}`;
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return this;
  }

  /** A whole answer, with what the test cares about. */
  answer(changes: Partial<CheckInAnswerInput> = {}): PlannedAnswer {
    const whole: CheckInAnswerInput = {
      etag: 'etag-1',
      issuedAt: 1_780_000_000,
      epoch: 'epoch-1',
      nextInS: 30,
      ackUpto: 0,
      orders: [],
      desired: null,
      seen: {},
    };
    return { status: 200, body: { ...whole, ...changes } };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(Buffer.from(part));
    const body = Buffer.concat(parts);
    this.bodies.push(body);
    const exchange = asSigned<RequestParts>(request.headers, {
      method: request.method ?? '',
      path: request.url ?? '',
      body,
    });
    this.isTargetSigned.push(exchange.target !== undefined);
    if (exchange.path !== checkInPath) throw new Error(`unexpected ${exchange.path}`);
    if (this.isOld && exchange.target !== undefined)
      return void response.writeHead(401).end('{"code":"signature-wrong","message":"outside the profile"}');
    verifyRequest(exchange, request.headers, this.#client);
    this.requests.push(checkInRequestShape.parse(JSON.parse(body.toString())));
    const planned = this.plan.length > 1 ? this.plan.shift() : this.plan[0];
    if (planned === undefined || planned.hangsUp) return void response.destroy();
    this.#send(planned, exchange, String(request.headers.signature), response);
  }

  #send(planned: PlannedAnswer, exchange: Omit<RequestParts, 'body'>, signature: string, to: ServerResponse) {
    const { status, body, headers = {}, signed = 'own-key' } = planned;
    const bytes = Buffer.from(typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body));
    const key = signed === 'foreign-key' ? generateKeyPair() : this.key;
    const bound = signed === 'for-another-request' ? `hf=:${'A'.repeat(86)}==:` : signature;
    const proof = signed === 'not' ? {} : signAnswer({ status, body: bytes }, exchange, bound, key.privateKey);
    to.writeHead(status, { ...headers, ...proof }).end(bytes);
  }
}
