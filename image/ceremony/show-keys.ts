import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import type { HeldKey } from '../keys/key-file.ts';
import { readKeyRing } from '../keys/key-ring.ts';
import { readSigned } from '../repository-metadata.ts';
import { ceremonyTexts } from '../texts.ts';
import { readRoot, readTargets } from './read-metadata.ts';
import { fieldRoles, keysOf, type RotatedRole, rootRoles } from './rotation.ts';

/** Where the private part of a key is, as far as this machine can tell. */
export type Holder = 'here' | 'here, under a passphrase' | 'elsewhere' | 'the server';

interface ShownKey {
  readonly id: string;
  readonly key: PublicKey;
  readonly holder: Holder;
  /** The file, if the key is here. */
  readonly path: string | null;
}

interface ShownRole {
  readonly role: RotatedRole;
  readonly threshold: number;
  readonly keys: readonly ShownKey[];
}

export interface ShownKeys {
  readonly root: { readonly version: number; readonly expires: string };
  readonly targets: { readonly version: number; readonly expires: string; readonly releases: number };
  readonly roles: readonly ShownRole[];
  /** Files of keys that have no role (any more). */
  readonly unused: readonly string[];
}

const online: ReadonlySet<RotatedRole> = new Set(['snapshot', 'timestamp', 'answer']);

/** Only reads. @throws ImageError `repository-empty`, `repository-damaged` */
export async function showKeys(dir: string): Promise<ShownKeys> {
  const signed = await readSigned(dir);
  const ring = await readKeyRing(dir);
  const root = readRoot(signed.trusted.root.bytes);
  const targets = readTargets(signed.targets, signed.trusted.root.bytes);
  const roles = [...rootRoles, ...fieldRoles].map((role): ShownRole => {
    const { keys, threshold } = keysOf(signed, role);
    return { role, threshold, keys: keys.map((key) => shown(key, role, ring)) };
  });
  const named = new Set(roles.flatMap(({ keys }) => keys.map(({ key }) => key)));
  return {
    root: { version: root.version, expires: root.expires.toISOString() },
    targets: {
      version: targets.version,
      expires: targets.expires.toISOString(),
      releases: targets.targets.length,
    },
    roles,
    unused: ring.filter(({ publicKey }) => publicKey === null || !named.has(publicKey)).map(({ path }) => path),
  };
}

function shown(key: PublicKey, role: RotatedRole, ring: readonly HeldKey[]): ShownKey {
  const held = ring.find(({ publicKey }) => publicKey === key);
  const holder = holderOf(held, role);
  return { id: tufKeyId(key), key, holder, path: held?.path ?? null };
}

function holderOf(held: HeldKey | undefined, role: RotatedRole): Holder {
  if (held === undefined) return online.has(role) ? 'the server' : 'elsewhere';
  return held.isSealed ? 'here, under a passphrase' : 'here';
}

/** Digits of an id that fit into a line; commands take 8 or more. */
const idDigits = 16;

export function showKeysText({ root, targets, roles, unused }: ShownKeys): string {
  const lines = roles.flatMap(({ role, threshold, keys }) => [
    ceremonyTexts.roleMustSign(role.padEnd(9), threshold, keys.length),
    ...keys.map(
      ({ id, holder, path }) =>
        `  ${id.slice(0, idDigits)}  ${ceremonyTexts.holders[holder]}${path === null ? '' : `: ${path}`}`,
    ),
  ]);
  const releases = ceremonyTexts.releaseCount(targets.releases);
  return [
    ceremonyTexts.rootUntil(root.version, root.expires.slice(0, 10)),
    ceremonyTexts.targetsUntil(targets.version, releases, targets.expires.slice(0, 10)),
    ...lines,
    ...unused.map((path) => ceremonyTexts.unusedKey(path)),
  ].join('\n');
}
