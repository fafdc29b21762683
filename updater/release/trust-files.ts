import { join } from 'node:path';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';

/** The files of updater/trust as bytes; what they mean is trust-store.ts, which takes a while to load. */

export interface TrustPlace {
  readonly files: Files;
  readonly layout: Layout;
  /** When this program was built, in seconds since 1970: no time before that is believed. */
  readonly builtAtS?: number;
  /** A clock that counts beside the trusted time; an appliance has none that it believes. */
  readonly clockS?: () => number;
}

/** Of the stored metadata that decides who is believed; null before the first targets. @throws system errors */
export function trustDigest(place: TrustPlace): Digest | null {
  const root = readTrustFile(place, 'root.json', metadataLimits.rootBytesMax);
  const targets = readTrustFile(place, 'targets.json', metadataLimits.targetsBytesMax);
  return root === null || targets === null ? null : sha256(`${sha256(root)} ${sha256(targets)}`);
}

/** Only root writes here: what is no file of a fitting size is damage, and fetched again like one that does not parse. */
export function readTrustFile({ files, layout }: TrustPlace, name: string, bytesMax: number): Buffer | null {
  const path = join(layout.trust, name);
  const facts = files.stat(path);
  return facts?.kind === 'file' && facts.size <= bytesMax ? readFile(files, path, bytesMax) : null;
}
