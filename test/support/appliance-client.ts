import { randomUUID } from 'node:crypto';
import {
  type CheckInAnswer,
  type CheckInRequestInput,
  checkInAnswerShape,
  checkInPath,
} from '../../protocol/check-in.ts';
import {
  agentProofPayloadType,
  claimKeyOf,
  claimProofPayloadType,
  decodeClaim,
  type EnrolAnswer,
  enrolAnswerShape,
  enrolPath,
  vouchPayloadType,
} from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { EventInput } from '../../protocol/event.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import { type OrderInput, orderPayloadType } from '../../protocol/order.ts';
import { generateKeyPair, type KeyPair, type PublicKey, publicKeyOf } from '../../protocol/trust/ed25519.ts';
import { type Envelope, openEnvelope, sealEnvelope } from '../../protocol/trust/envelope.ts';
import { signRequest, verifyAnswer } from '../../protocol/trust/http-signature.ts';

export type Role = 'agent' | 'updater';

/** An answer whose signature was verified when `signed` is true. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly signed: boolean;
  /** What the next request names as the answer that was taken last. */
  readonly mark: string;
}

type NewEvent = Omit<EventInput, 'id' | 'n' | 'at'> & { readonly id?: string; readonly n?: number };

/** An appliance as the server sees one: two keys that sign, two counters, events that are numbered. */
export class ApplianceClient {
  readonly keys: Record<Role, KeyPair> = { agent: generateKeyPair(), updater: generateKeyPair() };
  readonly seq: Record<Role, number> = { agent: 0, updater: 0 };
  readonly numbers: Record<Role, number> = { agent: 0, updater: 0 };
  readonly url: string;
  /** Whom it trusts as its server. */
  answerKeys: readonly PublicKey[];
  have: CheckInRequestInput['have'] = {};
  row = 'idle';

  constructor(url: string, answerKeys: readonly PublicKey[]) {
    this.url = url;
    this.answerKeys = answerKeys;
  }

  get id(): string {
    return applianceIdOf(Buffer.from(this.keys.updater.publicKey, 'hex'));
  }

  async enrol(
    claimCode: string,
    changes: { readonly secret?: string; readonly vouchedBy?: KeyPair } = {},
  ): Promise<Reply> {
    const claim = decodeClaim(claimCode);
    const { agent, updater } = this.keys;
    const vouch = { v: 1, appliance: this.id, agentKey: agent.publicKey };
    const body = {
      proto: 1,
      secret: changes.secret ?? claim.secret,
      updaterKey: updater.publicKey,
      vouch: sealEnvelope(vouchPayloadType, vouch, (changes.vouchedBy ?? updater).privateKey),
      hardware: 'test',
    };
    return this.send(enrolPath, body, updater);
  }

  /** The enrolment by which a claim is proven, and its secret sent to nobody. */
  enrolmentByKey(
    claimCode: string,
    changes: { readonly claimKey?: KeyPair; readonly agentKey?: KeyPair } = {},
  ): object {
    const { agent, updater } = this.keys;
    const own = claimKeyOf(decodeClaim(claimCode).secret);
    if (own === null) throw new TypeError('the secret of this claim is no key');
    const claimKey = changes.claimKey?.privateKey ?? own;
    const agentKey = changes.agentKey ?? agent;
    const vouch = { v: 1, appliance: this.id, agentKey: agent.publicKey };
    const proof = { ...vouch, updaterKey: updater.publicKey };
    return {
      proto: 1,
      claimKey: publicKeyOf(own),
      claimProof: sealEnvelope(claimProofPayloadType, proof, claimKey),
      agentProof: sealEnvelope(agentProofPayloadType, proof, agentKey.privateKey),
      updaterKey: updater.publicKey,
      vouch: sealEnvelope(vouchPayloadType, vouch, updater.privateKey),
    };
  }

  /** Enrols, and fails loudly when that does not work. */
  async enrolled(claimCode: string): Promise<EnrolAnswer> {
    const reply = await this.enrol(claimCode);
    return enrolAnswerShape.parse(reply.body);
  }

  event(role: Role, event: NewEvent): EventInput {
    this.numbers[role] += 1;
    return { id: randomUUID(), n: this.numbers[role], at: { boot: 'boot-1', monoMs: 1 }, ...event };
  }

  request(role: Role, changes: object = {}): object {
    this.seq[role] += 1;
    return {
      proto: 1,
      features: [],
      boot: 'boot-1',
      seq: this.seq[role],
      clock: { wallS: 1, monoMs: 1 },
      have: this.have,
      etag: null,
      health: role === 'updater' ? { status: 'ok', row: this.row, agentAlive: true } : { status: 'ok' },
      events: [],
      ...changes,
    };
  }

  /** One check-in, whatever comes back. */
  tryCheckIn(role: Role, changes: object = {}): Promise<Reply> {
    return this.send(checkInPath, this.request(role, changes), this.keys[role]);
  }

  /** One check-in that must be answered with 200. */
  async checkIn(role: Role, changes: object = {}): Promise<CheckInAnswer> {
    const reply = await this.tryCheckIn(role, changes);
    if (reply.status !== 200 || !reply.signed)
      throw new Error(`check-in: ${reply.status} ${JSON.stringify(reply.body)}`);
    return checkInAnswerShape.parse(reply.body);
  }

  /** What an order says, after its signature was verified. */
  openOrder(envelope: Envelope): unknown {
    return openEnvelope(envelope, orderPayloadType, this.answerKeys);
  }

  orderIds(answer: CheckInAnswer): string[] {
    return answer.orders.map((envelope) => {
      const order = this.openOrder(envelope);
      if (typeof order !== 'object' || order === null || !('id' in order)) throw new Error('an order without an id');
      return String(order.id satisfies unknown as OrderInput['id']);
    });
  }

  async send(path: string, body: unknown, key: KeyPair | null, headers: Record<string, string> = {}): Promise<Reply> {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const signed = key === null ? null : signRequest({ method: 'POST', path, body: bytes }, key.privateKey);
    const response = await fetch(`${this.url}${path}`, {
      method: 'POST',
      body: bytes,
      headers: { 'content-type': 'application/json', ...signed, ...headers },
    });
    const answer = Buffer.from(await response.arrayBuffer());
    const text = answer.toString('utf8');
    return {
      status: response.status,
      body: text === '' ? null : JSON.parse(text),
      signed: signed !== null && this.isSigned(response, answer, path, signed.signature),
      mark: sha256(response.headers.get('signature') ?? ''),
    };
  }

  private isSigned(response: Response, body: Buffer, path: string, signature: string): boolean {
    if (!response.headers.has('signature')) return false;
    const headers = Object.fromEntries(response.headers);
    verifyAnswer({ status: response.status, body }, headers, { method: 'POST', path }, signature, this.answerKeys);
    return true;
  }
}
