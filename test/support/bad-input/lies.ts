import { type CheckInAnswerInput, checkInPath } from '../../../protocol/check-in.ts';
import { generateKeyPair } from '../../../protocol/trust/ed25519.ts';
import { contentDigest, signAnswer } from '../../../protocol/trust/http-signature.ts';
import type { Lie, PassingAnswer } from './misbehaving-proxy.ts';

/** What somebody between appliance and server would like an appliance to believe. */
export type Wish = Pick<CheckInAnswerInput, 'desired' | 'ackUpto' | 'nextInS'>;

/** The answer as it would be if the wish were the server's; a 204 becomes a whole answer. */
function wished(answer: PassingAnswer, wish: Wish): PassingAnswer {
  const found: unknown = answer.body.length === 0 ? {} : JSON.parse(answer.body.toString('utf8'));
  const whole = { etag: 'a-lie', issuedAt: 1, epoch: 'a-lie', orders: [], seen: {} };
  const body = Buffer.from(JSON.stringify({ ...whole, ...(typeof found === 'object' ? found : {}), ...wish }));
  return { ...answer, status: 200, body };
}

/** The server's signature over other words. */
export function altered(wish: Wish): Lie {
  return (answer) => wished(answer, wish);
}

/** Other words, with a digest that fits them. */
export function alteredWithDigest(wish: Wish): Lie {
  return (answer) => {
    const lie = wished(answer, wish);
    return { ...lie, headers: { ...lie.headers, 'content-digest': contentDigest(lie.body) } };
  };
}

/** Signed as it should be, by a key that nobody knows. */
export function signedByAnother(wish: Wish): Lie {
  const { privateKey } = generateKeyPair();
  return (answer, { signature }) => {
    const lie = wished(answer, wish);
    return { ...lie, headers: { ...signAnswer(lie, { method: 'POST', path: checkInPath }, signature, privateKey) } };
  };
}

export function unsigned(wish: Wish): Lie {
  return (answer) => ({ ...wished(answer, wish), headers: { 'content-type': 'application/json' } });
}

/** The server's own answer, from an earlier question. */
export function replayed(): Lie {
  let first: PassingAnswer | null = null;
  return (answer) => {
    first ??= answer;
    return first === answer ? { ...answer, status: 503, headers: {}, body: Buffer.alloc(0) } : first;
  };
}

export function statusWith(status: number, text: string): Lie {
  return () => ({ status, headers: { 'content-type': 'text/html' }, body: Buffer.from(text) });
}
