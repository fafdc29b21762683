import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';

/** The release repository on disk, as appliances fetch it below `/releases`. */
export interface ReleaseShelf {
  readonly directory: string;
  readonly metadata: string;
  readonly targets: string;
  readonly bundles: string;
  /** Uploads that are not verified yet; nothing here is served. */
  readonly incoming: string;
  /** Version of the newest root, 0: none was published yet. */
  rootVersion(): number;
  /** @returns the bytes of a root that was published */
  root(version: number): Buffer | null;
  /** The newest timestamp, snapshot and targets; null before the first publication. */
  online(): { readonly timestamp: Buffer; readonly snapshot: Buffer; readonly targets: Buffer } | null;
}

const namedShape = (file: string) =>
  z.object({ signed: z.object({ meta: z.object({ [file]: z.object({ version: z.int().min(1) }) }) }) });

function versionNamed(bytes: Buffer, file: string): number {
  const version = namedShape(file).parse(JSON.parse(bytes.toString('utf8'))).signed.meta[file]?.version;
  if (version === undefined) throw new TypeError(`read metadata: it names no ${file}`);
  return version;
}

export function openShelf(directory: string): ReleaseShelf {
  const [metadata, targets, bundles, incoming] = ['metadata', 'targets', 'bundles', 'incoming'].map((name) =>
    join(directory, name),
  ) as [string, string, string, string];
  // An upload that was cut off is worth nothing.
  rmSync(incoming, { recursive: true, force: true });
  for (const each of [metadata, targets, bundles, incoming]) mkdirSync(each, { recursive: true });
  const root = (version: number): Buffer | null => {
    const path = join(metadata, `${version}.root.json`);
    return existsSync(path) ? readFileSync(path) : null;
  };
  return {
    directory,
    metadata,
    targets,
    bundles,
    incoming,
    root,
    rootVersion: () => {
      let version = 0;
      while (version < metadataLimits.rootsPerWalkMax && existsSync(join(metadata, `${version + 1}.root.json`))) {
        version += 1;
      }
      return version;
    },
    online: () => {
      if (!readdirSync(metadata).includes('timestamp.json')) return null;
      const timestamp = readFileSync(join(metadata, 'timestamp.json'));
      const snapshot = readFileSync(join(metadata, `${versionNamed(timestamp, 'snapshot.json')}.snapshot.json`));
      const targets = readFileSync(join(metadata, `${versionNamed(snapshot, 'targets.json')}.targets.json`));
      return { timestamp, snapshot, targets };
    },
  };
}
