import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { type Layout, snapshotFiles } from '../../protocol/layout.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { Files, Handle } from '../effects/files.ts';
import { type HeldDirectory, withDirectoryOrNone } from '../effects/held-directory.ts';
import { isDamage } from '../effects/kept-file.ts';
import type { User } from '../identity/settings.ts';
import { agentDataTexts } from '../words/texts.ts';
import { bytesOfCopy, writeAroundHoles, writeEnd } from './write-around-holes.ts';

/** The agent's state before a switch: a fixed list, not a directory; copied as bytes, never opened as a database. */

/** The state that an agent may keep if its seal does not say. */
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
  /** The state schema that the version before the switch writes; null: not recorded. */
  writes: z.int().nullable().default(null),
  /** Names that were in agent/ then; null: they were not recorded, or there were too many. */
  names: z.array(z.string()).nullable().default(null),
});
export type SnapshotIndex = z.infer<typeof indexShape>;
type Entry = SnapshotIndex['entries'][number];

export function snapshotDirectory(layout: Layout, tx: number): string {
  return join(layout.snapshots, String(tx));
}

/** Where the state of a rolled-back trial goes; made with the snapshot, so that going back needs no space. */
export function quarantineDirectory(layout: Layout, tx: number): string {
  return join(snapshotDirectory(layout, tx), 'trial');
}

/** Where state is kept that a person put aside for older data: it was good, and no program reads it any more. */
export function putAsideDirectory(layout: Layout, tx: number): string {
  return join(snapshotDirectory(layout, tx), 'put-aside');
}

/** The index is the `done` mark: it is written last, after every copy is synced. */
const indexName = 'done.json';

/** null: there is none, or its mark is damaged, so that it may be incomplete. The copied files stay in place. */
export function readSnapshot(files: Files, layout: Layout, tx: number): SnapshotIndex | null {
  try {
    const raw = readJson(files, join(snapshotDirectory(layout, tx), indexName), indexBytesMax);
    return indexShape.safeParse(raw).data ?? null;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return null;
  }
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

/** A fault of the disk or of the agent in the original stops no transaction; a fault in our own copy does. */
function ofSource<T>(operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new SourceUnreadableError(agentDataTexts.unreadable(String(cause.code)), { cause });
  }
}

interface Copied {
  readonly size: number;
  readonly sha256: string;
}

/** Copies an open file, up to `limit` bytes. @returns the copy's facts, or what is odd about the file */
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
      if (size > limit) return agentDataTexts.grew(limit);
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
    if (facts.links !== 1) return agentDataTexts.hasNames(facts.links);
    if (owner !== null && facts.uid !== owner.uid) return agentDataTexts.belongsTo(facts.uid);
    if (facts.size > limit) return agentDataTexts.tooLarge(facts.size, limit);
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

/** Copies from agent/, which is held open: whatever its user replaces meanwhile, nothing leads out of it. */
function copyEntry(
  files: Files,
  agent: HeldDirectory | null,
  directory: string,
  name: string,
  limit: number,
  owner: User | null,
): Entry {
  const facts = agent?.stat(name) ?? null;
  if (agent === null || facts === null) return { name, found: 'missing' };
  if (facts.kind !== 'file') return { name, found: 'odd', why: agentDataTexts.isKind(facts.kind) };
  const copied = copyOrWhyNot(files, agent.at(name), join(directory, name), limit, owner);
  if (typeof copied === 'string') {
    files.unlink(join(directory, name));
    return { name, found: 'odd', why: copied };
  }
  return { name, found: 'copied', ...copied };
}

/** A write-ahead log fits only the version of its database for which it was written. */
function isLogOfOdd(name: string, before: readonly Entry[]): boolean {
  return name === logName && before.some((entry) => entry.name === databaseName && entry.found === 'odd');
}

function copyEntries(
  files: Files,
  agent: HeldDirectory | null,
  directory: string,
  bytesMax: number,
  owner: User | null,
): Entry[] {
  let left = bytesMax;
  const entries: Entry[] = [];
  for (const name of snapshotFiles) {
    const entry = isLogOfOdd(name, entries)
      ? { name, found: 'odd' as const, why: agentDataTexts.ofMissingDatabase }
      : copyEntry(files, agent, directory, name, left, owner);
    if (entry.found === 'copied') left -= entry.size;
    entries.push(entry);
  }
  return entries;
}

/**
 * Copies the fixed list of state files, syncs them, and marks the copy done. The agent must be gone. An incomplete copy
 * of an earlier run is deleted first. A missing or odd file is recorded and never stops a transaction.
 * @param bytesMax how much state the current release may keep
 * @param writes the schema that the current release writes
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
  const found = withDirectoryOrNone(files, layout.agent, owner, (agent) => {
    const entries = copyEntries(files, agent, directory, bytesMax, owner);
    return { entries, names: agent === null ? [] : namesIn(files, agent.here) };
  });
  files.syncDirectory(directory);
  files.syncDirectory(layout.snapshots);
  const index = { tx, writes, ...found };
  replaceJson(files, join(directory, indexName), index, 0o600);
  return index;
}

/** An agent has ten names there; a crowded directory is not recorded. */
function namesIn(files: Files, directory: string): string[] | null {
  const names = files.listAtMost(directory, namesMax + 1);
  return names.length > namesMax || JSON.stringify(names).length > namesBytesMax ? null : names;
}

/** Bytes that the copy will take: odd files and files beyond the limit are not copied. */
export function stateBytes(files: Files, layout: Layout, bytesMax: number, owner: User | null): number {
  const sizes = withDirectoryOrNone(files, layout.agent, owner, (agent) =>
    snapshotFiles.map((name) => agent?.stat(name) ?? null),
  );
  return sizes.reduce(
    (sum, facts) => sum + (facts?.kind === 'file' && facts.size <= bytesMax ? bytesOfCopy(facts) : 0),
    0,
  );
}
