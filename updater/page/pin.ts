import { randomBytes, randomInt, scryptSync } from 'node:crypto';
import { z } from 'zod';

/** scrypt (RFC 7914) costs: about 50 ms and 16 MiB on a small machine. */
const cost = { N: 2 ** 14, r: 8, p: 1 } as const;
const keyBytes = 32;

export const pinRecordShape = z.object({ v: z.literal(1), salt: z.base64(), key: z.base64() });
export type PinRecord = z.infer<typeof pinRecordShape>;

/** A new PIN of eight digits, and what is kept of it. */
export function makePin(): { pin: string; record: PinRecord } {
  const pin = String(randomInt(10_000_000, 100_000_000));
  const salt = randomBytes(16);
  return { pin, record: { v: 1, salt: salt.toString('base64'), key: scryptSync(pin, salt, keyBytes, cost).toString('base64') } };
}
