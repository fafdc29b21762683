import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { installedBytes } from '../../protocol/payload.ts';
import type { Files } from '../effects/files.ts';
import { asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import { workDirectory } from './chunk-store.ts';
import { verifyRuntime } from './verify-slot.ts';

/** Room for records, logs and the file system's own bookkeeping. */
const marginBytes = 16 * 1024 * 1024;
const marginInodes = 1_000;
/** Names read while old trees are measured: more than a slot and a transaction's work can hold. */
const entriesMax = 100_000;

export interface SpacePlace {
  readonly files: Files;
  readonly layout: Layout;
  readonly tx: number;
  /** Directory of the slot that will be written; its content is given up first. */
  readonly slot: string;
  /** False: the frames are read in place and need no room here. */
  readonly copiesFrames: boolean;
}

/**
 * Checks that every place that an install writes to is really writable (S3), before anything depends on it.
 * @throws ReleaseError `read-only`, `no-space`, `disk`
 */
export function probeWritable({ files, layout, slot }: Omit<SpacePlace, 'tx' | 'copiesFrames'>): void {
  for (const directory of [
    layout.updater,
    layout.trust,
    layout.work,
    layout.slots,
    join(slot, '..'),
    layout.runtimes,
  ]) {
    if (files.stat(directory) === null) continue; // its parent was probed, and it is created there
    const probe = join(directory, '.probe');
    try {
      files.unlink(probe);
      const handle = files.create(probe, 0o600);
      try {
        files.write(handle, Buffer.from('probe'), 0);
        files.sync(handle);
      } finally {
        files.close(handle);
      }
      files.unlink(probe);
      files.syncDirectory(directory);
    } catch (error) {
      throw asReleaseError(error, releaseTexts.notWritable(directory));
    }
  }
}

/** What a transaction will write, in bytes, by the row that writes it. */
export interface Needs {
  readonly frames: number;
  /** The slot, and its runtime unless it is already here. */
  readonly slot: number;
}

function needsOf({ files, layout, copiesFrames }: SpacePlace, manifest: Manifest): Needs {
  const { runtime } = manifest;
  const runtimeIsHere = runtime === null || verifyRuntime(files, layout, runtime.digest).sound;
  const runtimeBytes = runtimeIsHere ? 0 : installedBytes(runtime.files);
  const contents = [
    ...manifest.files,
    ...(runtimeIsHere ? [] : runtime.files),
    ...(manifest.image === null ? [] : [manifest.image]),
  ];
  const frames = new Set(copiesFrames ? contents.flatMap(({ chunks }) => chunks) : []);
  const frameBytes = [...frames].reduce((sum, index) => sum + (manifest.chunks[index]?.stored ?? 0), 0);
  return { frames: frameBytes, slot: installedBytes(manifest.files) + runtimeBytes };
}

/**
 * @param reserveBytes what the rest of the transaction will need, e.g. for the snapshot
 * @throws ReleaseError `no-space`
 */
export function requireSpace(place: SpacePlace, manifest: Manifest, reserveBytes: number): Needs {
  const { files, layout, tx, slot } = place;
  const { runtime } = manifest;
  const needs = needsOf(place, manifest);
  const needed = needs.frames + needs.slot + reserveBytes + marginBytes;
  const given = [
    workDirectory(layout, tx),
    slot,
    ...(runtime === null ? [] : [`${layout.runtime(runtime.digest)}.tmp`]),
  ];
  const free = files.freeBytes(layout.root) + given.reduce((sum, directory) => sum + treeBytes(files, directory), 0);
  if (free < needed) {
    throw new ReleaseError(
      'no-space',
      releaseTexts.needsSpace(manifest.component, manifest.version, megabytes(needed), megabytes(free)),
    );
  }
  const names = manifest.files.length + manifest.links.length + (runtime?.files.length ?? 0) + manifest.chunks.length;
  const inodes = files.freeInodes(layout.root);
  if (inodes !== null && inodes < names + marginInodes) {
    throw new ReleaseError(
      'no-space',
      releaseTexts.needsFiles(manifest.component, manifest.version, names + marginInodes, inodes),
    );
  }
  return needs;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}

/** Bytes in a directory that the transaction has already written, or will give up before it writes. */
function treeBytes(files: Files, directory: string): number {
  let sum = 0;
  const pending = [directory];
  for (let looked = 0; looked < entriesMax; looked += 1) {
    const path = pending.pop();
    if (path === undefined) break;
    const facts = files.stat(path);
    if (facts?.kind === 'file') sum += facts.size;
    if (facts?.kind === 'directory') pending.push(...files.list(path).map((name) => join(path, name)));
  }
  return sum;
}
