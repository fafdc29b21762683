import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Component } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { manifestShape } from '../../protocol/manifest.ts';
import { type FileEntry, manifestLimits } from '../../protocol/payload.ts';
import { committedName, manifestName, type Seal, sealName, sealShape } from '../../protocol/seal.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { runtimeSealOf, slotSealOf } from './seal-slot.ts';

/** Bytes of a seal: as many files as a manifest may have, about 200 bytes each, and the same cap as launch's. */
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
  | 'extra-file';

/** What a look at a slot or runtime found. `path` is where, below its directory. */
export type SlotVerdict =
  | { readonly sound: true; readonly seal: Seal }
  | { readonly sound: false; readonly reason: Damage; readonly path: string };

const damaged = (reason: Damage, path: string): SlotVerdict => ({ sound: false, reason, path });

/** The seal, unless it is missing or does not parse. */
export function readSeal(files: Files, directory: string): Seal | null {
  if (files.stat(join(directory, sealName))?.kind !== 'file') return null;
  const bytes = readFile(files, join(directory, sealName), sealBytesMax);
  const parsed = sealShape.safeParse(bytes === null ? null : parseJson(bytes));
  return parsed.success ? parsed.data : null;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null; // a rotten seal is no seal
    throw error;
  }
}

/** The quick look, as launch has it: the seal parses, and every file that it lists is there with its size. */
export function looksSealed(files: Files, directory: string): SlotVerdict {
  const seal = readSeal(files, directory);
  if (seal === null) return damaged('no-seal', sealName);
  for (const { path, size } of seal.files) {
    const facts = files.stat(join(directory, path));
    if (facts?.kind !== 'file') return damaged('missing-file', path);
    if (facts.size !== size) return damaged('wrong-size', path);
  }
  return { sound: true, seal };
}

/**
 * The full look at a slot or runtime: its manifest has the digest that the seal names, the seal says what the manifest
 * says, every file has its hash and mode, and there is nothing else.
 */
export function verifySlot(files: Files, directory: string, expected?: Digest): SlotVerdict {
  const quick = looksSealed(files, directory);
  if (!quick.sound) return quick;
  const { seal } = quick;
  const bytes = readFile(files, join(directory, manifestName), manifestLimits.manifestBytesMax);
  if (bytes === null || sha256(bytes) !== seal.manifest || (expected !== undefined && expected !== seal.manifest)) {
    return damaged('wrong-manifest', manifestName);
  }
  const manifest = manifestShape.safeParse(parseJson(bytes));
  if (!manifest.success) return damaged('wrong-manifest', manifestName);
  const { runtime } = manifest.data;
  const isRuntime = seal.component === 'runtime';
  if (isRuntime && runtime === null) return damaged('wrong-manifest', manifestName);
  const right =
    isRuntime && runtime !== null ? runtimeSealOf(runtime, seal.manifest) : slotSealOf(manifest.data, seal.manifest);
  if (JSON.stringify(sealShape.parse(right)) !== JSON.stringify(seal)) return damaged('bad-seal', sealName);
  return verifyTree(files, directory, seal.files) ?? { sound: true, seal };
}

/** A slot, and the runtime that it names. */
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
  // A runtime seal names itself, so that no other tree can stand in this place.
  return seal.component === 'runtime' && seal.runtime?.digest === digest ? verdict : damaged('bad-seal', sealName);
}

type Listed = Pick<FileEntry, 'path' | 'size' | 'sha256' | 'executable'>;

/** @returns the first damage of a tree; null when it is whole */
export function verifyTree(files: Files, directory: string, listed: readonly Listed[]): SlotVerdict | null {
  const known = new Set(listed.map(({ path }) => path));
  for (const { path, size, sha256: digest, executable } of listed) {
    const facts = files.stat(join(directory, path));
    if (facts?.kind !== 'file') return damaged('missing-file', path);
    if (facts.size !== size) return damaged('wrong-size', path);
    if (facts.mode !== (executable ? 0o755 : 0o644)) return damaged('wrong-mode', path);
    if (hashFile(files, join(directory, path)) !== digest) return damaged('wrong-content', path);
  }
  const extra = extraFile(files, directory, known);
  return extra === null ? null : damaged('extra-file', extra);
}

function hashFile(files: Files, path: string): Digest {
  const handle = files.openRead(path);
  try {
    const hash = createHash('sha256');
    for (let position = 0; ; position += pieceBytes) {
      const piece = files.read(handle, position, pieceBytes);
      hash.update(piece);
      if (piece.length < pieceBytes) return hash.digest('hex');
    }
  } finally {
    files.close(handle);
  }
}

/** A name that nobody signed. Directories that no listed file needs count too. */
function extraFile(files: Files, directory: string, known: ReadonlySet<string>): string | null {
  const parents = new Set([...known].flatMap(parentsOf));
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

/** The directories above a path, nearest last: `a/b/c` -> `a`, `a/b`. */
export function parentsOf(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}
