import { randomBytes, randomInt, scrypt, scryptSync, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

/** scrypt (RFC 7914) costs: about 50 ms and 16 MiB on a small machine. */
const cost = { N: 2 ** 14, r: 8, p: 1 } as const;
const keyBytes = 32;
/** Characters that a person may type for a PIN. */
const typedMax = 64;

/** page/pin.json. */
export const pinRecordShape = z.object({ v: z.literal(1), salt: z.base64(), key: z.base64() });
export type PinRecord = z.infer<typeof pinRecordShape>;
export const pinBytesMax = 4 * 1024;

/** A new PIN of eight digits, to be shown once, and the record that is kept. */
export function makePin(): { pin: string; record: PinRecord } {
  const pin = String(randomInt(10_000_000, 100_000_000));
  const salt = randomBytes(16);
  const key = scryptSync(pin, salt, keyBytes, cost);
  return { pin, record: { v: 1, salt: salt.toString('base64'), key: key.toString('base64') } };
}

/** Is this the PIN? Blanks and dashes between digits do not count. */
export function isPin(record: PinRecord, typed: string): Promise<boolean> {
  const wanted = Buffer.from(record.key, 'base64');
  const pin = typed.slice(0, typedMax).replace(/[\s-]/g, '');
  return new Promise((resolve, reject) => {
    scrypt(pin, Buffer.from(record.salt, 'base64'), keyBytes, cost, (error, key) => {
      if (error === null) resolve(wanted.length === key.length && timingSafeEqual(wanted, key));
      else reject(error);
    });
  });
}
