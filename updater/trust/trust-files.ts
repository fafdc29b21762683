import { join } from 'node:path';
import { z } from 'zod';
import { stepTowards, trustedTimeStepS } from '../../protocol/bounded-step.ts';
import type { CheckInRequestInput } from '../../protocol/check-in.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { isDamage } from '../effects/kept-file.ts';

/** The files of updater/trust as bytes; trust-store.ts, which is slow to load, knows what they mean. */

export interface TrustPlace {
  readonly files: Files;
  readonly layout: Layout;
  /** When this program was built, in seconds since 1970: no earlier time is believed. */
  readonly builtAtS?: number;
  /** A clock that counts beside the trusted time; an appliance has none that it trusts. */
  readonly clockS?: () => number;
}

/**
 * The digest of the stored metadata that decides which keys are believed; null before the first targets.
 * @throws system errors
 */
export function trustDigest(place: TrustPlace): Digest | null {
  const root = readTrustFile(place, 'root.json', metadataLimits.rootBytesMax);
  const targets = readTrustFile(place, 'targets.json', metadataLimits.targetsBytesMax);
  return root === null || targets === null ? null : sha256(`${sha256(root)} ${sha256(targets)}`);
}

/**
 * Only root writes here: anything but a file of a fitting size is damage, and is fetched again like a file that does
 * not parse.
 */
export function readTrustFile({ files, layout }: TrustPlace, name: string, bytesMax: number): Buffer | null {
  const path = join(layout.trust, name);
  const facts = files.stat(path);
  return facts?.kind === 'file' && facts.size <= bytesMax ? readFile(files, path, bytesMax) : null;
}

/** A root as bytes; null even if the disk does not return it: there may be another one, and the copy. */
export function readRootFile(place: TrustPlace, name: string): Buffer | null {
  try {
    return readTrustFile(place, name, metadataLimits.rootBytesMax);
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}

export const trustedTimeName = 'trusted-time';
/** The last second that a `Date` can represent. */
export const trustedTimeMaxS = 8_640_000_000_000;
const timeBytesMax = 1024;
const timeShape = z.object({ v: z.literal(1), seconds: z.int().min(0).max(trustedTimeMaxS) });

/**
 * The trusted time, in whole seconds since 1970: the latest of the build's and of what verified messages said; null:
 * none yet. On an appliance, never the system's clock.
 */
export function trustedTime(place: TrustPlace): Date | null {
  const bytes = readTrustFile(place, trustedTimeName, timeBytesMax);
  const parsed = bytes === null ? null : timeShape.safeParse(parseJson(bytes));
  const known = parsed?.success === true ? parsed.data.seconds : 0;
  const seconds = Math.max(known, place.builtAtS ?? 0, place.clockS?.() ?? 0);
  return seconds > 0 ? new Date(seconds * 1000) : null;
}

/**
 * How far one message may move the time that was known before it. An appliance that was off for a year catches up by a
 * day per message; until then metadata counts as fresh for longer, and nothing else changes.
 * @param known null: there is no time to step from, so the first message counts
 */
export function withinStep(known: Date | null, issuedAtS: number): number {
  if (known === null) return Math.min(issuedAtS, trustedTimeMaxS);
  const stepped = stepTowards(Math.floor(known.getTime() / 1000), issuedAtS, trustedTimeStepS);
  return Math.min(issuedAtS, stepped, trustedTimeMaxS);
}

const timestampShape = z.object({
  signed: z.object({
    version: z.int().min(0),
    meta: z.object({ 'snapshot.json': z.object({ version: z.int().min(0) }) }),
  }),
});

/**
 * The versions of the server's own metadata that are trusted here, for a server that forgot them; null: none, or
 * damaged.
 */
export function trustedVersions(place: TrustPlace): NonNullable<CheckInRequestInput['trusted']> | null {
  const bytes = readTrustFile(place, 'timestamp.json', metadataLimits.timestampBytesMax);
  const parsed = timestampShape.safeParse(bytes === null ? null : parseJson(bytes));
  if (!parsed.success) return null;
  const { version, meta } = parsed.data.signed;
  return { timestamp: version, snapshot: meta['snapshot.json'].version };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null; // rotten: it counts as missing, and the next answer brings it
    throw error;
  }
}
