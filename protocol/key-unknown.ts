import type { KeyObject } from 'node:crypto';
import { problemShape } from './check-in.ts';
import { keyIdOf } from './ids.ts';
import { publicKeyOf } from './trust/ed25519.ts';

/**
 * The code of a signed refusal: this server does not have the key, because it was restored or set up anew. Appliances
 * call this `appliance-unknown`, because an answer signed by an unknown key is a different problem.
 */
export const keyUnknownCode = 'key-unknown';

/**
 * What a verified answer says about the key that asked. The server cannot verify the request of an unknown key: an
 * attacker on the network path may put another id beside the same signature, and then the answer names that id.
 * `other`: it does not answer this request.
 */
export function keyUnknownIn(body: unknown, asked: KeyObject): 'own' | 'other' | null {
  const problem = problemShape.safeParse(body).data;
  if (problem?.code !== keyUnknownCode) return null;
  return problem.key === keyIdOf(Buffer.from(publicKeyOf(asked), 'hex')) ? 'own' : 'other';
}
