import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Digest, sha256 } from './digest.ts';

/** An appliance id: `hf-` and 20 hex digits of the digest of its first updater key; fixed for the appliance's life. */
export const applianceIdShape = z.string().regex(/^hf-[0-9a-f]{20}$/, 'an appliance id is hf- and 20 hex digits');
export type ApplianceId = z.infer<typeof applianceIdShape>;

/** An appliance id as people type it (any case, colons, dashes, blanks), converted to the canonical form (S8). */
export const typedApplianceIdShape = z
  .string()
  .max(80)
  .transform(
    (typed) =>
      `hf-${typed
        .toLowerCase()
        .replace(/^\s*hf[-: ]?/, '')
        .replace(/[^0-9a-z]/g, '')}`,
  )
  .pipe(applianceIdShape);

/** @param updaterKey the raw 32 bytes of the first Ed25519 public key */
export function applianceIdOf(updaterKey: Uint8Array): ApplianceId {
  return `hf-${sha256(updaterKey).slice(0, 20)}`;
}

/** The name of a public key: the digest of its raw 32 bytes (also the `keyid` of its HTTP message signatures). */
export function keyIdOf(publicKey: Uint8Array): Digest {
  return sha256(publicKey);
}

export const uuidShape = z.uuid();

export function newId(): string {
  return randomUUID();
}

/** The kernel's name for one boot, as in /proc/sys/kernel/random/boot_id. */
export const bootIdShape = z.string().min(1).max(64);
