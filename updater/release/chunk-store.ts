import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import type { Base, Chunk, Patch } from '../../protocol/payload.ts';
import { readFile, writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';
import { release, unpackFrame } from './frame.ts';
import { type Installed, type InstalledPlace, installedContent } from './installed-content.ts';
import type { Bundle } from './open-bundle.ts';

export interface ChunkPlace extends InstalledPlace {
  readonly tx: number;
  /** The bases of the release's patches. */
  readonly bases: readonly Base[];
  /** A bundle on this machine: its content need not be copied first. */
  readonly bundle: Bundle | null;
}

export interface ChunkStore {
  /**
   * The verified raw bytes, from a fetched frame or patch, from what is installed, or from the bundle in place; null
   * when none of them has the bytes. They belong to the caller, who should {@link release} them.
   */
  read(chunk: Chunk): Buffer | null;
  /** The first patch of a chunk whose bases are all here; null for none. */
  patchFor(chunk: Chunk): Patch | null;
  /**
   * Keeps the frame of a chunk, or of a patch of it, once it gives the right bytes; durable when it returns.
   * @throws ReleaseError `bad-chunk`
   */
  keep(chunk: Chunk, patch: Patch | null, frame: Buffer): void;
}

/** The chunks that this appliance has: frames in work/<tx>/, and pieces of files in slots and runtimes. */
export function chunkStore(place: ChunkPlace): ChunkStore {
  const { files, layout, tx, bases, bundle } = place;
  const directory = workDirectory(layout, tx);
  let lookedAround: Installed | null = null;
  const installed = (): Installed => {
    lookedAround ??= installedContent(place);
    return lookedAround;
  };
  const unpack = (chunk: Chunk, patch: Patch | null, frame: Buffer): Buffer =>
    patch === null ? unpackFrame(frame, chunk) : unpackPatch(installed(), bases, chunk, patch, frame);
  return {
    read: (chunk) => {
      for (const patch of [null, ...(chunk.patches ?? [])]) {
        const kept = readKept(files, join(directory, nameOf(chunk, patch)), patch ?? chunk, (frame) =>
          unpack(chunk, patch, frame),
        );
        if (kept !== null) return kept;
      }
      return installed().chunk(chunk) ?? (bundle === null ? null : readBundled(bundle, chunk));
    },
    patchFor: (chunk) =>
      chunk.patches?.find(({ dictionary }) =>
        dictionary.every(({ base }) => installed().hasContent(bases[base]?.sha256 ?? '')),
      ) ?? null,
    keep: (chunk, patch, frame) => {
      release(unpack(chunk, patch, frame));
      const path = join(directory, nameOf(chunk, patch));
      files.unlink(`${path}.tmp`);
      writeNewFile(files, `${path}.tmp`, frame, 0o600);
      files.rename(`${path}.tmp`, path);
      files.syncDirectory(directory);
    },
  };
}

/** work/<tx>: everything that a transaction keeps until it ends. */
export function workDirectory(layout: Layout, tx: number): string {
  return join(layout.work, String(tx));
}

function nameOf(chunk: Chunk, patch: Patch | null): string {
  return patch === null ? chunk.sha256 : `${chunk.sha256}.patch-${chunk.patches?.indexOf(patch) ?? 0}`;
}

/**
 * The bytes that a patch makes from what is installed.
 * @throws ReleaseError `bad-chunk`, also when a base is not whole
 */
function unpackPatch(installed: Installed, bases: readonly Base[], chunk: Chunk, patch: Patch, frame: Buffer): Buffer {
  const parts = patch.dictionary.map(({ base, position, length }) =>
    installed.read(bases[base]?.sha256 ?? '', position, length),
  );
  const whole = parts.filter((part) => part !== null);
  try {
    if (whole.length < parts.length) {
      throw new ReleaseError('bad-chunk', releaseTexts.patchBaseUnreadable(chunk.sha256.slice(0, 12)));
    }
    const [only] = whole;
    const dictionary = whole.length === 1 && only !== undefined ? only : Buffer.concat(whole);
    const raw = unpackFrame(frame, { ...chunk, stored: patch.stored }, dictionary);
    if (dictionary !== only) release(dictionary);
    return raw;
  } finally {
    for (const part of whole) release(part);
  }
}

/** Reads a kept frame and verifies it again: a disk may rot between two starts. A bad frame is removed. */
function readKept(
  files: Files,
  path: string,
  { stored }: { readonly stored: number },
  unpack: (frame: Buffer) => Buffer,
): Buffer | null {
  const facts = files.stat(path);
  if (facts === null) return null;
  if (facts.kind === 'file' && facts.size === stored) {
    const frame = readFile(files, path, stored) ?? Buffer.alloc(0);
    try {
      return unpack(frame);
    } catch (error) {
      if (!(error instanceof ReleaseError)) throw error;
    } finally {
      release(frame);
    }
  }
  files.removeTree(path);
  return null;
}

function readBundled({ source, chunks }: Bundle, chunk: Chunk): Buffer | null {
  const frame = source.readNow?.(chunks.position + chunk.offset, chunk.stored);
  if (frame === undefined) return null;
  try {
    return unpackFrame(frame, chunk);
  } finally {
    release(frame);
  }
}
