import { Metadata, MetadataKind, Signature } from '@tufjs/models';
import { z } from 'zod';
import type { Layout } from '../../../protocol/layout.ts';
import { manifestShape } from '../../../protocol/manifest.ts';
import { manifestName } from '../../../protocol/seal.ts';
import { generateKeyPair, signBytes } from '../../../protocol/trust/ed25519.ts';
import { readJson } from '../../../updater/effects/durable.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { fileSource } from '../../../updater/release/byte-source.ts';
import { openBundle } from '../../../updater/release/open-bundle.ts';
import { type Misbehaviour, sendFile } from '../release-server.ts';

/** Places in a real bundle: one byte that an appliance looks at in each part of it. */
export interface BundlePlaces {
  readonly header: number;
  readonly root: number;
  readonly targets: number;
  readonly manifest: number;
  readonly chunk: number;
  readonly trailer: number;
}

const bytesMax = 8 * 1024 * 1024;

/** @param layout of an appliance that runs its factory version: what it has already, it does not fetch */
export async function placesIn(path: string, layout: Layout): Promise<BundlePlaces> {
  const source = fileSource(realFiles, path);
  try {
    const { roots, targets, manifestBytes, chunks } = await openBundle(source);
    const all = await source.read(0, chunks.position);
    const middle = (part: Buffer) => all.indexOf(part) + Math.floor(part.length / 2);
    const manifest = manifestShape.parse(JSON.parse(manifestBytes.toString('utf8')));
    const factory = manifestShape.parse(
      readJson(realFiles, `${layout.slot('app', 'factory')}/${manifestName}`, bytesMax),
    );
    const had = new Set(factory.chunks.map(({ sha256 }) => sha256));
    const needed = manifest.chunks.find(({ sha256 }) => !had.has(sha256));
    if (needed === undefined || roots[0] === undefined) throw new RangeError(`${path} brings nothing new`);
    return {
      header: 20,
      root: middle(roots[0].bytes),
      targets: middle(targets),
      manifest: all.indexOf('manifest.json.zst') + 512 + 100,
      chunk: chunks.position + needed.offset + Math.floor(needed.stored / 2),
      trailer: source.size - 100,
    };
  } finally {
    source.close();
  }
}

/** A role of the release metadata, signed by a key of somebody else's under the name of the right one. */
export function signAnew(path: string): Misbehaviour {
  const shape = z.object({
    signed: z.record(z.string(), z.json()),
    signatures: z.array(z.object({ keyid: z.string() })).min(1),
  });
  const { privateKey } = generateKeyPair();
  return (request, response, file) => {
    if (file.bytes === null || !file.path.endsWith(path)) return false;
    const { signed, signatures } = shape.parse(JSON.parse(file.bytes.toString('utf8')));
    const metadata = Metadata.fromJSON(MetadataKind.Timestamp, { signed, signatures: [] });
    const keyID = signatures[0]?.keyid ?? '';
    metadata.sign((bytes) => new Signature({ keyID, sig: signBytes(bytes, privateKey).toString('hex') }));
    sendFile(request, response, Buffer.from(JSON.stringify(metadata.toJSON())));
    return true;
  };
}
