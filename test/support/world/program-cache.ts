import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { sourceParts } from '../../../image/patch.ts';
import { treeOf } from '../../../image/tree.ts';
import { sha256 } from '../../../protocol/digest.ts';

/**
 * Directories that builds have made, by the digest of all that they were made from. Each is made beside its place and
 * renamed into it, and says what it holds: one that was cut off or changed is made anew, and two that make the same at once
 * do not disturb each other.
 */
export interface ProgramCache {
  /** @param make fills an empty directory; @returns a directory to read from, and never to write to */
  directory(key: string, make: (directory: string) => Promise<void>): Promise<string>;
}

export interface CacheLimits {
  /** Entries that are kept, the last used first. */
  readonly entriesMax: number;
  /** Whoever found an entry has read it within this time: a younger use protects it. */
  readonly inUseMs: number;
}

/** Programs of two commits, each of them a few megabytes. */
const cacheLimits: CacheLimits = { entriesMax: 100, inUseMs: 30 * 60_000 };

const listName = 'entry.json';
const contentName = 'content';
const unfinishedMark = '.unfinished-';
const listShape = z.record(z.string(), z.string());

export function openProgramCache(root: string, limits: CacheLimits = cacheLimits, nowMs = Date.now): ProgramCache {
  mkdirSync(root, { recursive: true });
  return {
    async directory(key, make) {
      const entry = join(root, key);
      const content = join(entry, contentName);
      const isMade = !(await isWhole(entry));
      if (isMade) await makeEntry(root, entry, make);
      const now = new Date(nowMs());
      utimesSync(entry, now, now);
      if (isMade) prune(root, limits, nowMs());
      return content;
    },
  };
}

async function makeEntry(root: string, entry: string, make: (directory: string) => Promise<void>): Promise<void> {
  const work = join(root, `${unfinishedMark}${randomUUID()}`);
  try {
    mkdirSync(join(work, contentName), { recursive: true });
    await make(join(work, contentName));
    writeFileSync(join(work, listName), JSON.stringify(await listOf(join(work, contentName))));
    // Of two that made the same, one comes second: what the first put there is as good.
    if (existsSync(entry) && !(await isWhole(entry))) discard(root, entry);
    try {
      renameSync(work, entry);
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST') || !(await isWhole(entry))) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** By one step: nobody finds half of an entry. */
function discard(root: string, entry: string): void {
  const aside = join(root, `${unfinishedMark}${randomUUID()}`);
  try {
    renameSync(entry, aside);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

function prune(root: string, { entriesMax, inUseMs }: CacheLimits, nowMs: number): void {
  const usedAt = (name: string) => statSync(join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const all = readdirSync(root).map((name) => ({ name, usedAtMs: usedAt(name) }));
  const byUse = all.sort((a, b) => b.usedAtMs - a.usedAtMs);
  const entries = byUse.filter(({ name }) => !name.startsWith(unfinishedMark));
  const unfinished = byUse.filter(({ name }) => name.startsWith(unfinishedMark));
  for (const { name, usedAtMs } of [...entries.slice(entriesMax), ...unfinished])
    if (usedAtMs + inUseMs < nowMs) discard(root, join(root, name));
}

async function isWhole(entry: string): Promise<boolean> {
  try {
    const listed = listShape.parse(JSON.parse(readFileSync(join(entry, listName), 'utf8')));
    return JSON.stringify(await listOf(join(entry, contentName))) === JSON.stringify(listed);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError || hasCode(error, 'ENOENT', 'ENOTDIR'))
      return false;
    throw error;
  }
}

/** Each file's mode and digest, by its path. */
async function listOf(directory: string): Promise<Record<string, string>> {
  const { files } = await treeOf(directory);
  return Object.fromEntries(
    files.map(({ path, source, executable }) => [path, `${executable ? 'x' : '-'} ${sha256(readFileSync(source))}`]),
  );
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** What makes programs of the source: the code that builds, and the packages that are installed. */
const toolParts = ['image', 'package-lock.json', join('node_modules', '.package-lock.json')] as const;

/** The Node that builds, and on which what was built has proven its version. */
export interface NodeIdentity {
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly arch: string;
  readonly bytes: number;
}

export function thisNode(): NodeIdentity {
  return { versions: process.versions, arch: process.arch, bytes: statSync(process.execPath).size };
}

/** Of every file that a program of this checkout is made from or by, and of its Node: all that a build is not told itself. */
export async function sourcesDigest(checkout: string, node: NodeIdentity): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(node));
  for (const part of [...sourceParts, ...toolParts]) {
    const path = join(checkout, part);
    const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    const files = isDirectory ? (await treeOf(path)).files : [{ path: '', source: path, executable: false }];
    for (const { path: name, source, executable } of files) {
      const content = existsSync(source) ? sha256(readFileSync(source)) : 'missing';
      hash.update(`\n${JSON.stringify([part, name, executable, content])}`);
    }
  }
  return hash.digest('hex');
}
