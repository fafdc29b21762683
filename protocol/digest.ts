import { createHash } from 'node:crypto';
import { z } from 'zod';

/**
 * SHA-256 in lower-case hex, 64 characters. Holdfast uses this one digest to name slots, manifests, chunks and keys.
 */
export const digestShape = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 digest is 64 lower-case hex digits');
export type Digest = z.infer<typeof digestShape>;

export function sha256(bytes: Uint8Array | string): Digest {
  return createHash('sha256').update(bytes).digest('hex');
}
