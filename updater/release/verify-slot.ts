import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Component } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { type Manifest, manifestShape } from '../../protocol/manifest.ts';
import { type FileEntry, type LinkEntry, manifestLimits, parentsOf } from '../../protocol/payload.ts';
import { parseManifestJson } from '../../protocol/read-manifest.ts';
import { committedName, manifestName, type Seal, sealName, sealShape } from '../../protocol/seal.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { deviceDigest } from './device-digest.ts';
import { runtimeSealOf, slotSealOf } from './seal-slot.ts';

/** Bytes of a seal: as many files as a manifest may have, about 200 bytes each, and the same limit as launch's. */
const sealBytesMax = 8 * 1024 * 1024;
/** Bytes in memory while a file is hashed. */
const pieceBytes = 256 * 1024;
const marks: ReadonlySet<string> = new Set([
  sealName,
  `${sealName}.tmp`,
  committedName,
  `${committedName}.tmp`,
  manifestName,
]);

export type Damage =
  | 'no-seal'
  | 'bad-seal'
  | 'wrong-manifest'
  | 'missing-file'
  | 'wrong-size'
  | 'wrong-content'
  | 'wrong-mode'
  | 'wrong-link'
  | 'extra-file';

/** The result of checking a slot or runtime. `path` is the place of the damage, below its directory. */
export type SlotVerdict =
  | { readonly sound: true; readonly seal: Seal }
  | { readonly sound: false; readonly reason: Damage; readonly path: string };

const damaged = (reason: Damage, path: string): SlotVerdict => ({ sound: false, reason, path });

/** The seal, unless it is missing or does not parse. */
export function readSeal(files: Files, directory: string): Seal | null {
  const bytes = readMark(files, join(directory, sealName), sealBytesMax);
  const parsed = sealShape.safeParse(bytes === null ? null : parseJson(bytes));
  return parsed.success ? parsed.data : null;
}

/** A file that the updater wrote beside a tree; null for anything that it would not have written. */
function readMark(files: Files, path: string, bytesMax: number): Buffer | null {
  const facts = files.stat(path);
  return facts?.kind === 'file' && facts.size <= bytesMax ? readFile(files, path, bytesMax) : null;
}

/** The manifest that a slot or runtime says it was written from; null when there is none, or it cannot be read. */
export function readOwnManifest(files: Files, directory: string): { digest: Digest; manifest: Manifest } | null {
  const bytes = readMark(files, join(directory, manifestName), manifestLimits.manifestBytesMax);
  const json = bytes === null ? null : parseManifestJson(bytes);
  if (bytes === null || json?.outcome !== 'parsed') return null;
  const parsed = manifestShape.safeParse(json.value);
  return parsed.success ? { digest: sha256(bytes), manifest: parsed.data } : null;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null; // a rotten seal counts as none
    throw error;
  }
}

/** The quick check, as in launch: the seal parses, and every file that it lists exists with its size. */
export function looksSealed(files: Files, directory: string): SlotVerdict {
  const seal = readSeal(files, directory);
  if (seal === null) return damaged('no-seal', sealName);
  for (const { path, size, executable } of seal.files) {
    const facts = files.stat(join(directory, path));
    if (facts?.kind !== 'file') return damaged('missing-file', path);
    if (facts.size !== size) return damaged('wrong-size', path);
    const needs = executable ? 0o555 : 0o444;
    if ((facts.mode & needs) !== needs) return damaged('wrong-mode', path);
  }
  return { sound: true, seal };
}

/** The quick check of a slot and the runtime that it names: launch starts it only with both. */
export function looksInstalled(files: Files, layout: Layout, component: Component, slot: string): SlotVerdict {
  const verdict = looksSealed(files, layout.slot(component, slot));
  if (!verdict.sound || verdict.seal.runtime === null) return verdict;
  const runtime = looksSealed(files, layout.runtime(verdict.seal.runtime.digest));
  return runtime.sound ? verdict : { ...runtime, path: join('runtime', runtime.path) };
}

/**
 * The full check of a slot or runtime: its manifest has the digest that the seal names, the seal agrees with the
 * manifest, every file has its hash and mode, every link its target, and there is nothing else.
 */
export function verifySlot(files: Files, directory: string, expected?: Digest): SlotVerdict {
  const quick = looksSealed(files, directory);
  if (!quick.sound) return quick;
  const { seal } = quick;
  const own = readOwnManifest(files, directory);
  if (own === null || own.digest !== seal.manifest || (expected !== undefined && expected !== seal.manifest)) {
    return damaged('wrong-manifest', manifestName);
  }
  const { runtime } = own.manifest;
  const isRuntime = seal.component === 'runtime';
  if (isRuntime && runtime === null) return damaged('wrong-manifest', manifestName);
  const right =
    isRuntime && runtime !== null ? runtimeSealOf(runtime, seal.manifest) : slotSealOf(own.manifest, seal.manifest);
  if (JSON.stringify(sealShape.parse(right)) !== JSON.stringify(seal)) return damaged('bad-seal', sealName);
  return verifyTree(files, directory, seal) ?? { sound: true, seal };
}

/** Checks a slot of the operating system: its seal, and every byte of its device. */
export function verifyDeviceSlot(files: Files, directory: string, device: string, expected: Digest): SlotVerdict {
  const verdict = verifySlot(files, directory, expected);
  if (!verdict.sound) return verdict;
  const { image } = verdict.seal;
  const holds = image === null ? null : deviceDigest(files, device, image.size);
  return image !== null && holds === image.sha256 ? verdict : damaged('wrong-content', device);
}

/** Checks a slot, and the runtime that it names. */
export function verifyInstalled(
  files: Files,
  layout: Layout,
  component: Component,
  slot: string,
  expected?: Digest,
): SlotVerdict {
  const verdict = verifySlot(files, layout.slot(component, slot), expected);
  if (!verdict.sound || verdict.seal.runtime === null) return verdict;
  const runtime = verifyRuntime(files, layout, verdict.seal.runtime.digest);
  return runtime.sound ? verdict : { ...runtime, path: join('runtime', runtime.path) };
}

export function verifyRuntime(files: Files, layout: Layout, digest: Digest): SlotVerdict {
  const verdict = verifySlot(files, layout.runtime(digest));
  if (!verdict.sound) return verdict;
  const { seal } = verdict;
  // A runtime's seal names the runtime itself, so that no other tree can take its place.
  return seal.component === 'runtime' && seal.runtime?.digest === digest ? verdict : damaged('bad-seal', sealName);
}

interface Listed {
  readonly files: readonly Pick<FileEntry, 'path' | 'size' | 'sha256' | 'executable'>[];
  readonly links: readonly LinkEntry[];
}

/** @returns the first damage of a tree; null when it is whole */
export function verifyTree(files: Files, directory: string, listed: Listed): SlotVerdict | null {
  const known = new Set([...listed.files, ...listed.links].map(({ path }) => path));
  const parents = new Set([...known].flatMap(parentsOf));
  // First of all: behind a link in a directory's place, everything below could look right and be somewhere else.
  for (const path of ['', ...parents]) {
    if (files.stat(join(directory, path))?.kind !== 'directory') return damaged('missing-file', path);
  }
  const piece = Buffer.allocUnsafeSlow(pieceBytes);
  for (const { path, size, sha256: digest, executable } of listed.files) {
    const facts = files.stat(join(directory, path));
    if (facts?.kind !== 'file') return damaged('missing-file', path);
    if (facts.size !== size) return damaged('wrong-size', path);
    if (facts.mode !== (executable ? 0o755 : 0o644)) return damaged('wrong-mode', path);
    if (hashFile(files, join(directory, path), piece) !== digest) return damaged('wrong-content', path);
  }
  for (const { path, target } of listed.links) {
    const place = join(directory, path);
    if (files.stat(place)?.kind !== 'link' || files.readLink(place) !== target) return damaged('wrong-link', path);
  }
  const extra = extraFile(files, directory, known, parents);
  return extra === null ? null : damaged('extra-file', extra);
}

/** @param piece memory for it, of {@link pieceBytes} */
function hashFile(files: Files, path: string, piece: Buffer): Digest {
  const handle = files.openRead(path);
  try {
    const hash = createHash('sha256');
    for (let position = 0; ; position += pieceBytes) {
      const length = files.readInto(handle, piece, position);
      hash.update(piece.subarray(0, length));
      if (length < pieceBytes) return hash.digest('hex');
    }
  } finally {
    files.close(handle);
  }
}

/** A name that is not signed. Directories that no listed file needs count, too. */
function extraFile(
  files: Files,
  directory: string,
  known: ReadonlySet<string>,
  parents: ReadonlySet<string>,
): string | null {
  const pending = [''];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    for (const name of files.list(join(directory, below))) {
      const path = below === '' ? name : `${below}/${name}`;
      if (known.has(path) || (below === '' && marks.has(name))) continue;
      if (!parents.has(path) || files.stat(join(directory, path))?.kind !== 'directory') return path;
      pending.push(path);
    }
  }
  return null;
}
