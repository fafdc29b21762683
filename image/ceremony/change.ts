import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { loadTrusted, type Trusted } from '../../protocol/trust/tuf.ts';
import { signersOf } from '../../protocol/trust/tuf-sign.ts';
import { replaceFile } from '../durable.ts';
import { ImageError } from '../errors.ts';
import { ceremonyTexts } from '../texts.ts';
import { type ReadRoot, type ReadTargets, readRoot, readTargets } from './read-metadata.ts';

/**
 * Metadata to be signed, as it is carried from machine to machine: what is trusted now, and what is to follow, with the
 * signatures so far. A signer needs nothing but this file and a key.
 */
export interface Change {
  /** The root that is trusted now, and the targets. */
  readonly root: Buffer;
  readonly targets: Buffer;
  /** null: it stays. */
  readonly nextRoot: Buffer | null;
  readonly nextTargets: Buffer | null;
}

/** Bound for root and targets, twice, with every quote escaped. */
const fileBytesMax = 4 * (metadataLimits.rootBytesMax + metadataLimits.targetsBytesMax);

const changeShape = z.strictObject({
  holdfast: z.literal('change of release metadata'),
  v: z.literal(1),
  root: z.string(),
  targets: z.string(),
  nextRoot: z.string().nullable(),
  nextTargets: z.string().nullable(),
});

/** A change in which every field was understood, so that its description leaves nothing out. */
export interface OpenedChange extends Change {
  readonly before: { readonly root: ReadRoot; readonly targets: ReadTargets };
  readonly after: { readonly root: ReadRoot; readonly targets: ReadTargets };
}

export async function writeChange(path: string, change: Change): Promise<void> {
  const text = (bytes: Buffer | null) => bytes?.toString('utf8') ?? null;
  const file = {
    holdfast: 'change of release metadata',
    v: 1,
    root: text(change.root),
    targets: text(change.targets),
    nextRoot: text(change.nextRoot),
    nextTargets: text(change.nextTargets),
  };
  await replaceFile(path, Buffer.from(`${JSON.stringify(file, null, 2)}\n`));
}

/** @throws ImageError `change-unreadable` */
export async function readChange(path: string): Promise<OpenedChange> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw unreadable(ceremonyTexts.unreadable(path), cause);
  });
  if (bytes.length > fileBytesMax) throw unreadable(ceremonyTexts.tooLarge(path, bytes.length));
  try {
    const file = changeShape.parse(JSON.parse(bytes.toString('utf8')));
    const part = (text: string) => Buffer.from(text, 'utf8');
    return openChange({
      root: part(file.root),
      targets: part(file.targets),
      nextRoot: file.nextRoot === null ? null : part(file.nextRoot),
      nextTargets: file.nextTargets === null ? null : part(file.nextTargets),
    });
  } catch (cause) {
    if (cause instanceof SyntaxError || cause instanceof z.ZodError)
      throw unreadable(ceremonyTexts.noChange(path), cause);
    throw cause;
  }
}

function unreadable(message: string, cause?: unknown): ImageError {
  return new ImageError('change-unreadable', message, ceremonyTexts.unreadableNext, { cause });
}

/**
 * Reads a change. What is trusted now must be signed, the new metadata must follow it, and every field must be one that
 * can be put into words.
 * @throws ImageError `change-unreadable`
 */
export function openChange(change: Change): OpenedChange {
  try {
    const trusted = trustedBefore(change);
    const before = { root: readRoot(trusted.root.bytes), targets: readTargets(change.targets, change.root) };
    const after = {
      root: change.nextRoot === null ? before.root : readRoot(change.nextRoot),
      targets: change.nextTargets === null ? before.targets : readTargets(change.nextTargets, change.root),
    };
    for (const role of ['root', 'targets'] as const) {
      const isNew = (role === 'root' ? change.nextRoot : change.nextTargets) !== null;
      const follows = before[role].version + (isNew ? 1 : 0);
      if (after[role].version === follows) continue;
      throw unreadable(ceremonyTexts.otherVersion(role, after[role].version, before[role].version));
    }
    if (change.nextRoot === null && change.nextTargets === null) throw unreadable(ceremonyTexts.changesNothing);
    return { ...change, before, after };
  } catch (cause) {
    if (cause instanceof TrustError) throw unreadable(ceremonyTexts.notUnderstood(cause.message), cause);
    throw cause;
  }
}

function trustedBefore({ root, targets }: Change): Trusted {
  const trusted = loadTrusted({ root, timestamp: null, snapshot: null, targets });
  if (trusted.targets !== null) return trusted;
  throw unreadable(ceremonyTexts.notSignedNow);
}

/** Signatures of one kind: how many of the keys that may sign have signed. */
export interface Quorum {
  readonly role: 'root' | 'targets';
  /** Whose keys: those of the root that is trusted now, or those of the new one. */
  readonly asked: 'present' | 'new';
  readonly signed: readonly PublicKey[];
  readonly unsigned: readonly PublicKey[];
  readonly threshold: number;
}

/** All quorums that the change needs. */
export function quorumsOf(change: OpenedChange): Quorum[] {
  const { before, after } = change;
  const quorum = (role: Quorum['role'], bytes: Buffer, by: ReadRoot, asked: Quorum['asked']): Quorum => {
    const { keys, threshold } = by.roles[role];
    const signed = signersOf(role, bytes, keys);
    return { role, asked, signed, unsigned: keys.filter((key) => !signed.includes(key)), threshold };
  };
  const roots =
    change.nextRoot === null
      ? []
      : [quorum('root', change.nextRoot, before.root, 'present'), quorum('root', change.nextRoot, after.root, 'new')];
  const asked = change.nextRoot === null ? 'present' : 'new';
  const targets = change.nextTargets === null ? [] : [quorum('targets', change.nextTargets, after.root, asked)];
  return [...roots, ...targets];
}

export function isReached({ signed, threshold }: Quorum): boolean {
  return signed.length >= threshold;
}
