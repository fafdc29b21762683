import { dirname, join } from 'node:path';
import type { SlotName } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { type FileEntry, type ImageEntry, type LinkEntry, parentsOf, type Runtime } from '../../protocol/payload.ts';
import { committedName, manifestName, sealName } from '../../protocol/seal.ts';
import { writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import { type ChunkStore, chunkStore } from './chunk-store.ts';
import type { DeviceSlots } from './device-slots.ts';
import { release } from './frame.ts';
import type { Bundle } from './open-bundle.ts';
import { runtimeSealOf, slotSealOf, writeSeal } from './seal-slot.ts';
import { verifyRuntime, verifyTree } from './verify-slot.ts';
import { writeDevice } from './write-device.ts';

const directoryMode = 0o755;

export interface WriteOrder {
  readonly files: Files;
  readonly layout: Layout;
  readonly tx: number;
  readonly slot: SlotName;
  readonly manifest: Manifest;
  /** The signed bytes; kept in the slot. */
  readonly manifestBytes: Buffer;
  readonly devices: DeviceSlots;
  /** The bundle, if it is on this machine and was not copied. */
  readonly bundle: Bundle | null;
}

/**
 * Row `writing`: makes the slot unusable, then writes runtime and slot from verified chunks and reads all of it back.
 * May be repeated from any point. The slot has no seal when it returns.
 * @throws ReleaseError `chunk-missing` when the work must be fetched again
 */
export function writeSlot(order: WriteOrder): void {
  const { files, layout, manifest, manifestBytes } = order;
  const directory = layout.slot(manifest.component, order.slot);
  try {
    unseal(files, directory);
    const store = chunkStore({ ...order, slot: directory, bases: manifest.bases });
    if (manifest.runtime !== null) writeRuntime(order, manifest.runtime, store);
    makeParents(files, layout, directory);
    if (manifest.image !== null) writeImage(order, manifest.image, store);
    writeTree(files, directory, manifest, manifest, manifestBytes, store);
    files.syncDirectory(dirname(directory));
  } catch (error) {
    throw asReleaseError(error, releaseTexts.writing(manifest.component, manifest.version));
  }
}

/**
 * Row `sealed`: from here on the slot counts as whole.
 * @returns the digest of its manifest
 */
export function sealSlot(order: Omit<WriteOrder, 'devices' | 'bundle' | 'tx'>): Digest {
  const { files, layout, slot, manifest, manifestBytes } = order;
  const digest = sha256(manifestBytes);
  try {
    writeSeal(files, layout.slot(manifest.component, slot), slotSealOf(manifest, digest));
    return digest;
  } catch (error) {
    throw asReleaseError(error, releaseTexts.sealing(manifest.component, manifest.version));
  }
}

function writeImage(
  { files, layout, slot, manifest, devices }: WriteOrder,
  image: ImageEntry,
  store: ChunkStore,
): void {
  const device = devices.get(layout.slot(manifest.component, slot));
  if (device === undefined) throw new ReleaseError('device-unusable', releaseTexts.noDevice(slot));
  writeDevice({ files, device, manifest, image, store });
}

/** The marks are removed first and for good, so that no half-written slot can ever be launched. */
function unseal(files: Files, directory: string): void {
  const facts = files.stat(directory);
  if (facts === null) return;
  // Through a link in a slot's place, the marks of its target would be removed.
  if (facts.kind === 'directory') {
    for (const name of [sealName, committedName]) files.unlink(join(directory, name));
    files.syncDirectory(directory);
  }
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
  writeTree(files, fresh, manifest, { files: runtime.files, links: [] }, manifestBytes, store);
  writeSeal(files, fresh, runtimeSealOf(runtime, sha256(manifestBytes)));
  // A damaged runtime is moved aside as late as possible: a running version may still manage with what is left of it.
  if (files.stat(directory) !== null) {
    files.removeTree(damaged);
    files.rename(directory, damaged);
  }
  files.rename(fresh, directory);
  files.syncDirectory(layout.runtimes);
  files.removeTree(damaged);
}

interface Tree {
  readonly files: readonly FileEntry[];
  readonly links: readonly LinkEntry[];
}

/**
 * Files, then links, so that no file is ever written through one; then directories from the deepest up, each synced;
 * then every byte is read back.
 */
function writeTree(
  files: Files,
  directory: string,
  manifest: Manifest,
  tree: Tree,
  manifestBytes: Buffer,
  store: ChunkStore,
): void {
  const parents = [...tree.files, ...tree.links].flatMap(({ path }) => parentsOf(path));
  const below = [...new Set(parents)].sort((a, b) => (a < b ? -1 : 1));
  files.makeDirectory(directory, directoryMode);
  for (const path of below) files.makeDirectory(join(directory, path), directoryMode);
  for (const entry of tree.files) writeEntry(files, join(directory, entry.path), entry, manifest, store);
  for (const { path, target } of tree.links) files.link(target, join(directory, path));
  writeNewFile(files, join(directory, manifestName), manifestBytes, 0o644);
  for (const path of below.reverse()) files.syncDirectory(join(directory, path));
  files.syncDirectory(directory);
  const damage = verifyTree(files, directory, tree);
  if (damage !== null && !damage.sound) {
    throw new ReleaseError('slot-damaged', releaseTexts.readsBackAs(damage.path, damage.reason));
  }
}

function writeEntry(files: Files, path: string, entry: FileEntry, manifest: Manifest, store: ChunkStore): void {
  const handle = files.create(path, entry.executable ? 0o755 : 0o644);
  try {
    let position = 0;
    for (const index of entry.chunks) {
      const chunk = manifest.chunks[index];
      const raw = chunk === undefined ? null : store.read(chunk);
      if (raw === null) throw new ReleaseError('chunk-missing', releaseTexts.chunkMissing(entry.path));
      files.write(handle, raw, position);
      position += raw.length;
      release(raw);
    }
    files.sync(handle);
  } finally {
    files.close(handle);
  }
}
