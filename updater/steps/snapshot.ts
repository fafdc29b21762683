import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { type Layout, snapshotFiles } from '../../protocol/layout.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { Files, Handle } from '../effects/files.ts';
import type { User } from '../settings.ts';
import { bytesOfCopy, writeAroundHoles, writeEnd } from './write-around-holes.ts';

/** The agent's state before a switch: a list, not a directory; bytes, never opened as a database. */

/** State that an agent may keep where its seal does not say. */
export const stateBytesMaxDefault = 1024 * 1024 * 1024;
const copyBytesAtOnce = 1024 * 1024;
const indexBytesMax = 16 * 1024;
const namesMax = 100;
const namesBytesMax = 8 * 1024;
export const [databaseName, logName] = snapshotFiles;

const entryShape = z.discriminatedUnion('found', [
  z.object({ name: z.string(), found: z.literal('copied'), size: z.int(), sha256: z.string() }),
  z.object({ name: z.string(), found: z.literal('missing') }),
  /** Not a regular file of the agent's own, or larger than its release may keep: recorded, and left alone. */
  z.object({ name: z.string(), found: z.literal('odd'), why: z.string() }),
]);
const indexShape = z.object({
  tx: z.int(),
  entries: z.array(entryShape),
  /** Schema of the state that the version writes that ran before the switch; null: nobody noted it. */
  writes: z.int().nullable().default(null),
  /** Names that were in agent/ then; null: nobody noted them, or there were too many. */
  names: z.array(z.string()).nullable().default(null),
});
export type SnapshotIndex = z.infer<typeof indexShape>;
type Entry = SnapshotIndex['entries'][number];

export function snapshotDirectory(layout: Layout, tx: number): string {
  return join(layout.snapshots, String(tx));
}

/** Where the state of a trial goes that was rolled back; made with the snapshot, so that going back needs no space. */
export function quarantineDirectory(layout: Layout, tx: number): string {
  return join(snapshotDirectory(layout, tx), 'trial');
}

/** Where the state is kept that a person put aside for older data: it was good, and nobody looks at it any more. */
export function putAsideDirectory(layout: Layout, tx: number): string {
  return join(snapshotDirectory(layout, tx), 'put-aside');
}

/** The index is the `done` mark: it is written last, after every copy is synced. */
const indexName = 'done.json';

export function readSnapshot(files: Files, layout: Layout, tx: number): SnapshotIndex | null {
  const raw = readJson(files, join(snapshotDirectory(layout, tx), indexName), indexBytesMax);
  return raw === null ? null : indexShape.parse(raw);
}

/** SHA-256 of a regular file, and its size. */
export function digestFile(files: Files, path: string): { size: number; sha256: string } {
  const handle = files.openRead(path);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for (;;) {
      const bytes = files.read(handle, size, copyBytesAtOnce);
      if (bytes.length === 0) return { size, sha256: hash.digest('hex') };
      hash.update(bytes);
      size += bytes.length;
    }
  } finally {
    files.close(handle);
  }
}

class SourceUnreadableError extends Error {
  readonly code = 'source-unreadable';
}

/** What the disk or the agent does to the original stops no transaction; what our own copy needs does. */
function ofSource<T>(operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new SourceUnreadableError(`it can not be read (${String(cause.code)})`, { cause });
  }
}

interface Copied {
  readonly size: number;
  readonly sha256: string;
}

/** Copies what is open; `limit` bytes at the most. Otherwise says what is odd about it. */
function copyOpen(files: Files, source: Handle, to: string, limit: number): Copied | string {
  const hash = createHash('sha256');
  const target = files.create(to, 0o600);
  try {
    let size = 0;
    for (;;) {
      const at = size;
      const bytes = ofSource(() => files.read(source, at, Math.min(copyBytesAtOnce, limit - at + 1)));
      if (bytes.length === 0) break;
      hash.update(bytes);
      writeAroundHoles(files, target, bytes, size);
      size += bytes.length;
      if (size > limit) return `it grew beyond ${limit} bytes`;
    }
    writeEnd(files, target, size);
    files.sync(target);
    return { size, sha256: hash.digest('hex') };
  } finally {
    files.close(target);
  }
}

function copyOne(files: Files, from: string, to: string, limit: number, owner: User | null): Copied | string {
  const source = ofSource(() => files.openRead(from));
  try {
    const facts = ofSource(() => files.statHandle(source));
    if (facts.links !== 1) return `it has ${facts.links} names`;
    if (owner !== null && facts.uid !== owner.uid) return `it belongs to user ${facts.uid}`;
    if (facts.size > limit) return `it has ${facts.size} bytes, ${limit} are allowed`;
    return copyOpen(files, source, to, limit);
  } finally {
    files.close(source);
  }
}

function copyOrWhyNot(files: Files, from: string, to: string, limit: number, owner: User | null): Copied | string {
  try {
    return copyOne(files, from, to, limit, owner);
  } catch (error) {
    if (error instanceof SourceUnreadableError) return error.message;
    throw error;
  }
}

function copyEntry(
  files: Files,
  layout: Layout,
  directory: string,
  name: string,
  limit: number,
  owner: User | null,
): Entry {
  const facts = files.stat(join(layout.agent, name));
  if (facts === null) return { name, found: 'missing' };
  if (facts.kind !== 'file') return { name, found: 'odd', why: `it is a ${facts.kind}` };
  const copied = copyOrWhyNot(files, join(layout.agent, name), join(directory, name), limit, owner);
  if (typeof copied === 'string') {
    files.unlink(join(directory, name));
    return { name, found: 'odd', why: copied };
  }
  return { name, found: 'copied', ...copied };
}

/** A write-ahead log fits to no other version of its database than the one that it was written for. */
function isLogOfOdd(name: string, before: readonly Entry[]): boolean {
  return name === logName && before.some((entry) => entry.name === databaseName && entry.found === 'odd');
}

/**
 * Copies the fixed list of state files, syncs them, and marks the copy done. The agent must be gone. An incomplete
 * copy of an earlier run is deleted first. What is missing or odd is recorded and never stops a transaction.
 * @param bytesMax what the release that is leaving may keep as state
 * @param writes the schema that the release that is leaving writes
 */
export function takeSnapshot(
  files: Files,
  layout: Layout,
  tx: number,
  bytesMax: number,
  owner: User | null,
  writes: number | null = null,
): SnapshotIndex {
  const directory = snapshotDirectory(layout, tx);
  files.removeTree(directory);
  files.makeDirectory(layout.snapshots, 0o700);
  files.makeDirectory(directory, 0o700);
  files.makeDirectory(quarantineDirectory(layout, tx), 0o700);
  let left = bytesMax;
  const entries: Entry[] = [];
  for (const name of snapshotFiles) {
    const entry = isLogOfOdd(name, entries)
      ? { name, found: 'odd' as const, why: 'it belongs to a state.db that was not copied' }
      : copyEntry(files, layout, directory, name, left, owner);
    if (entry.found === 'copied') left -= entry.size;
    entries.push(entry);
  }
  files.syncDirectory(directory);
  files.syncDirectory(layout.snapshots);
  const index = { tx, entries, writes, names: namesIn(files, layout.agent) };
  replaceJson(files, join(directory, indexName), index, 0o600);
  return index;
}

/** An agent has ten names there; of a directory that somebody has crowded nothing is noted. */
function namesIn(files: Files, directory: string): string[] | null {
  const names = files.listAtMost(directory, namesMax + 1);
  return names.length > namesMax || JSON.stringify(names).length > namesBytesMax ? null : names;
}

/** What the copy will take: what is odd or larger than it may be is not copied. */
export function stateBytes(files: Files, layout: Layout, bytesMax: number): number {
  const sizes = snapshotFiles.map((name) => files.stat(join(layout.agent, name)));
  return sizes.reduce(
    (sum, facts) => sum + (facts?.kind === 'file' && facts.size <= bytesMax ? bytesOfCopy(facts) : 0),
    0,
  );
}
