import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { trustRoot } from '../../protocol/trust/tuf.ts';
import { parseSnapshot, parseTargets, parseTimestamp } from '../../protocol/trust/tuf-metadata.ts';
import { publishTexts } from '../texts.ts';

/** The release repository on disk, as appliances fetch it below `/releases`. */
export interface ReleaseShelf {
  readonly directory: string;
  readonly metadata: string;
  readonly targets: string;
  readonly bundles: string;
  /** Uploads that are not verified yet; they are never served. */
  readonly incoming: string;
  /** What was damaged when the shelf was opened, set aside, and is signed anew by the server itself. */
  readonly faults: readonly string[];
  /** What was damaged and only a publication replaces, until it did: from the names alone, whatever was restarted. */
  lost(): readonly string[];
  /** Version of the newest root; 0: none is published yet. */
  rootVersion(): number;
  /** @returns the bytes of a published root */
  root(version: number): Buffer | null;
  /** The newest timestamp, snapshot and targets; null before the first publication. */
  online(): { readonly timestamp: Buffer; readonly snapshot: Buffer; readonly targets: Buffer } | null;
}

/** @throws TrustError when it is not the root of this version, signed by itself */
function requireRoot(bytes: Buffer, version: number): void {
  const found = trustRoot(bytes).root.version;
  if (found !== version) throw new TrustError('tuf-version', publishTexts.isRoot(found));
}

/** What is signed offline, so that the server cannot make it anew. */
const offlineName = /^([1-9]\d*)\.(root|targets)\.json$/;

function moveAside(metadata: string, name: string): void {
  const aside = join(metadata, `damaged-${name}`);
  rmSync(aside, { recursive: true, force: true });
  renameSync(join(metadata, name), aside);
}

/** A root is replaced by the same one, targets by those or by newer ones. */
function lostIn(metadata: string): string[] {
  const names = readdirSync(metadata);
  const newest = Math.max(0, ...names.map((name) => Number(/^(\d+)\.targets\.json$/.exec(name)?.[1] ?? 0)));
  return names.flatMap((aside) => {
    const name = aside.replace(/^damaged-/, '');
    const [, version, role] = name === aside ? [] : (offlineName.exec(name) ?? []);
    if (role === 'root' && !names.includes(name)) return [publishTexts.lost(name, publishTexts.rootLost)];
    if (role === 'targets' && Number(version) > newest) return [publishTexts.lost(name, publishTexts.targetsLost)];
    return [];
  });
}

/**
 * Moves unreadable metadata to a name that nothing asks for. What is missing is signed or published again; a damaged
 * file would prevent that, here and on every appliance that fetches it.
 */
function setAsideDamaged(metadata: string, faults: string[]): void {
  const isSound = (name: string, check: (bytes: Buffer) => void): boolean => {
    const path = join(metadata, name);
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts === undefined) return false;
    try {
      if (!facts.isFile()) throw new TrustError('tuf-malformed', publishTexts.notRegular);
      check(readFileSync(path));
      return true;
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      moveAside(metadata, name);
      if (!offlineName.test(name)) faults.push(publishTexts.setAside(name, error.message));
      return false;
    }
  };
  for (const name of readdirSync(metadata)) {
    const version = /^([1-9]\d{0,5})\.root\.json$/.exec(name)?.[1];
    if (version !== undefined) isSound(name, (bytes) => requireRoot(bytes, Number(version)));
    // Older ones are read when the newest are lost; a directory among them would stop that.
    else if (offlineName.test(name)) isSound(name, () => undefined);
  }
  let snapshot = 0;
  let targets = 0;
  const isNamed =
    isSound('timestamp.json', (bytes) => {
      snapshot = parseTimestamp(bytes).metadata.signed.snapshotMeta.version;
    }) &&
    isSound(`${snapshot}.snapshot.json`, (bytes) => {
      targets = parseSnapshot(bytes).metadata.signed.meta['targets.json']?.version ?? 0;
    }) &&
    isSound(`${targets}.targets.json`, parseTargets);
  // A timestamp that names missing files is useless; its version is remembered elsewhere.
  if (isNamed || !existsSync(join(metadata, 'timestamp.json'))) return;
  moveAside(metadata, 'timestamp.json');
  faults.push(publishTexts.metadataSetAside);
}

export function openShelf(directory: string): ReleaseShelf {
  const [metadata, targets, bundles, incoming] = ['metadata', 'targets', 'bundles', 'incoming'].map((name) =>
    join(directory, name),
  ) as [string, string, string, string];
  // An interrupted upload is useless.
  rmSync(incoming, { recursive: true, force: true });
  for (const each of [metadata, targets, bundles, incoming]) mkdirSync(each, { recursive: true, mode: 0o700 });
  const faults: string[] = [];
  setAsideDamaged(metadata, faults);
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
    faults,
    lost: () => lostIn(metadata),
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
      const snapshotVersion = parseTimestamp(timestamp).metadata.signed.snapshotMeta.version;
      const snapshot = readFileSync(join(metadata, `${snapshotVersion}.snapshot.json`));
      const targetsVersion = parseSnapshot(snapshot).metadata.signed.meta['targets.json']?.version ?? 0;
      const targets = readFileSync(join(metadata, `${targetsVersion}.targets.json`));
      return { timestamp, snapshot, targets };
    },
  };
}
