import { dirname, join } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { FileEntry, Runtime } from '../../protocol/payload.ts';
import { committedName, manifestName, sealName } from '../../protocol/seal.ts';
import { writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { type ChunkStore, chunkStore } from './chunk-store.ts';
import { asReleaseError, ReleaseError } from './release-error.ts';
import { runtimeSealOf, slotSealOf, writeSeal } from './seal-slot.ts';
import { parentsOf, verifyRuntime, verifyTree } from './verify-slot.ts';

const directoryMode = 0o755;

export interface WriteOrder {
  readonly files: Files;
  readonly layout: Layout;
  readonly tx: number;
  readonly slot: SlotName;
  readonly manifest: Manifest;
  /** The signed bytes; kept in the slot. */
  readonly manifestBytes: Buffer;
}

/**
 * Row `writing`: makes the slot unusable, then writes runtime and slot from verified chunks and reads all of it back.
 * May be repeated from any point. The slot has no seal when it returns.
 * @throws ReleaseError `chunk-missing` when the work must be fetched again
 */
export function writeSlot(order: WriteOrder): void {
  const { files, layout, tx, manifest, manifestBytes } = order;
  const directory = layout.slot(manifest.component, order.slot);
  try {
    unseal(files, directory);
    const store = chunkStore(files, layout, tx, directory);
    if (manifest.runtime !== null) writeRuntime(order, manifest.runtime, store);
    makeParents(files, layout, directory);
    writeTree(files, directory, manifest, manifest.files, manifestBytes, store);
    files.syncDirectory(dirname(directory));
  } catch (error) {
    throw asReleaseError(error, `writing ${manifest.component} ${manifest.version}`);
  }
}

/**
 * Row `sealed`: from here on the slot counts as whole.
 * @returns the digest of its manifest
 */
export function sealSlot({ files, layout, slot, manifest, manifestBytes }: WriteOrder): Digest {
  const digest = sha256(manifestBytes);
  try {
    writeSeal(files, layout.slot(manifest.component, slot), slotSealOf(manifest, digest));
    return digest;
  } catch (error) {
    throw asReleaseError(error, `sealing ${manifest.component} ${manifest.version}`);
  }
}

/** The marks go first and for good, so that no half of what follows can ever be launched. */
function unseal(files: Files, directory: string): void {
  if (files.stat(directory) === null) return;
  for (const name of [sealName, committedName]) files.unlink(join(directory, name));
  files.syncDirectory(directory);
  files.removeTree(directory);
  files.syncDirectory(dirname(directory));
}

function makeParents(files: Files, layout: Layout, directory: string): void {
  for (const parent of [layout.slots, dirname(directory)]) {
    if (files.stat(parent) !== null) continue;
    files.makeDirectory(parent, directoryMode);
    files.syncDirectory(dirname(parent));
  }
}

function writeRuntime(
  { files, layout, manifest, manifestBytes }: WriteOrder,
  runtime: Runtime,
  store: ChunkStore,
): void {
  if (verifyRuntime(files, layout, runtime.digest).sound) return;
  if (files.stat(layout.runtimes) === null) {
    files.makeDirectory(layout.runtimes, directoryMode);
    files.syncDirectory(layout.root);
  }
  const directory = layout.runtime(runtime.digest);
  const fresh = `${directory}.tmp`;
  const damaged = `${directory}.old`;
  files.removeTree(fresh);
  writeTree(files, fresh, manifest, runtime.files, manifestBytes, store);
  writeSeal(files, fresh, runtimeSealOf(runtime, sha256(manifestBytes)));
  // A damaged runtime steps aside as late as it can: a running version may still get on with what is left of it.
  if (files.stat(directory) !== null) {
    files.removeTree(damaged);
    files.rename(directory, damaged);
  }
  files.rename(fresh, directory);
  files.syncDirectory(layout.runtimes);
  files.removeTree(damaged);
}

/** Files, then directories from the deepest up, each synced; then every byte is read back. */
function writeTree(
  files: Files,
  directory: string,
  manifest: Manifest,
  entries: readonly FileEntry[],
  manifestBytes: Buffer,
  store: ChunkStore,
): void {
  const below = [...new Set(entries.flatMap(({ path }) => parentsOf(path)))].sort((a, b) => (a < b ? -1 : 1));
  files.makeDirectory(directory, directoryMode);
  for (const path of below) files.makeDirectory(join(directory, path), directoryMode);
  for (const entry of entries) writeEntry(files, join(directory, entry.path), entry, manifest, store);
  writeNewFile(files, join(directory, manifestName), manifestBytes, 0o644);
  for (const path of below.reverse()) files.syncDirectory(join(directory, path));
  files.syncDirectory(directory);
  const damage = verifyTree(files, directory, entries);
  if (damage !== null && !damage.sound) {
    throw new ReleaseError('slot-damaged', `${damage.path} was written but reads back as ${damage.reason}`);
  }
}

function writeEntry(files: Files, path: string, entry: FileEntry, manifest: Manifest, store: ChunkStore): void {
  const handle = files.create(path, entry.executable ? 0o755 : 0o644);
  try {
    let position = 0;
    for (const index of entry.chunks) {
      const chunk = manifest.chunks[index];
      const raw = chunk === undefined ? null : store.read(chunk);
      if (raw === null) throw new ReleaseError('chunk-missing', `a chunk of ${entry.path} is not here (any more)`);
      files.write(handle, raw, position);
      position += raw.length;
    }
    files.sync(handle);
  } finally {
    files.close(handle);
  }
}
