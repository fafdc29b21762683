import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { type Layout, snapshotFiles } from '../../protocol/layout.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { User } from '../settings.ts';

/** The agent's state before a switch: a list, not a directory; bytes, never opened as a database. */

const copyBytesAtOnce = 1024 * 1024;
const indexBytesMax = 16 * 1024;

const entryShape = z.discriminatedUnion('found', [
  z.object({ name: z.string(), found: z.literal('copied'), size: z.int(), sha256: z.string() }),
  z.object({ name: z.string(), found: z.literal('missing') }),
  /** Not a regular file of the agent's own, or larger than its release may keep: recorded, and left alone. */
  z.object({ name: z.string(), found: z.literal('odd'), why: z.string() }),
]);
const indexShape = z.object({ tx: z.int(), entries: z.array(entryShape) });
export type SnapshotIndex = z.infer<typeof indexShape>;
type Entry = SnapshotIndex['entries'][number];

export function snapshotDirectory(layout: Layout, tx: number): string {
  return join(layout.snapshots, String(tx));
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

function copyOne(
  files: Files,
  from: string,
  to: string,
  limit: number,
  owner: User | null,
): Omit<Entry & { found: 'copied' }, 'name'> | string {
  const source = files.openRead(from);
  try {
    const facts = files.statHandle(source);
    if (facts.links !== 1) return `it has ${facts.links} names`;
    if (owner !== null && facts.uid !== owner.uid) return `it belongs to user ${facts.uid}`;
    if (facts.size > limit) return `it has ${facts.size} bytes, ${limit} are allowed`;
    const hash = createHash('sha256');
    const target = files.create(to, 0o600);
    try {
      let size = 0;
      for (;;) {
        const bytes = files.read(source, size, Math.min(copyBytesAtOnce, limit - size + 1));
        if (bytes.length === 0) break;
        hash.update(bytes);
        files.write(target, bytes, size);
        size += bytes.length;
        if (size > limit) return `it grew beyond ${limit} bytes`;
      }
      files.sync(target);
      return { found: 'copied', size, sha256: hash.digest('hex') };
    } finally {
      files.close(target);
    }
  } finally {
    files.close(source);
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
  const copied = copyOne(files, join(layout.agent, name), join(directory, name), limit, owner);
  if (typeof copied === 'string') {
    files.unlink(join(directory, name));
    return { name, found: 'odd', why: copied };
  }
  return { name, ...copied };
}

/**
 * Copies the fixed list of state files, syncs them, and marks the copy done. The agent must be gone. An incomplete
 * copy of an earlier run is deleted first. What is missing or odd is recorded and never stops a transaction.
 * @param bytesMax what the release that is leaving may keep as state
 */
export function takeSnapshot(
  files: Files,
  layout: Layout,
  tx: number,
  bytesMax: number,
  owner: User | null,
): SnapshotIndex {
  const directory = snapshotDirectory(layout, tx);
  files.removeTree(directory);
  files.makeDirectory(layout.snapshots, 0o700);
  files.makeDirectory(directory, 0o700);
  let left = bytesMax;
  const entries: Entry[] = [];
  for (const name of snapshotFiles) {
    const entry = copyEntry(files, layout, directory, name, left, owner);
    if (entry.found === 'copied') left -= entry.size;
    entries.push(entry);
  }
  files.syncDirectory(directory);
  files.syncDirectory(layout.snapshots);
  const index = { tx, entries };
  replaceJson(files, join(directory, indexName), index, 0o600);
  return index;
}
