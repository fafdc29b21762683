import { join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';

/** What launch checks before each start: which files exist, their sizes and their rights. Imports only Node. */

const sealBytesMax = 8 * 1024 * 1024;
/** Rights that every user must have: to a program, and to what it reads. */
const runnable = 0o555;
const readable = 0o444;

export interface QuickSeal {
  readonly version: string;
  readonly manifest: string;
  readonly entry: string;
  readonly runtime: { readonly digest: string; readonly entry: string } | null;
  /** The newest schema that this version reads or writes; undefined: the seal does not say. */
  readonly schemaMax: number | undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The seal, if every file that it lists exists with its size. The full hash is the updater's work, not a start's. */
export function quickSeal(files: Files, directory: string): QuickSeal | null {
  return quickly(() => readSeal(files, directory));
}

export function quickly<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    // An unreadable slot (a bad block, a directory as seal, an endless seal) is not whole.
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

export function sealIn(files: Files, directory: string): Record<string, unknown> | null {
  const bytes = readFile(files, join(directory, '.seal'), sealBytesMax);
  const seal: unknown = bytes === null ? null : JSON.parse(bytes.toString('utf8'));
  return isObject(seal) ? seal : null;
}

function readSeal(files: Files, directory: string): QuickSeal | null {
  const seal = sealIn(files, directory);
  if (seal === null || !Array.isArray(seal.files)) return null;
  const { version, manifest, entry, runtime } = seal;
  if (typeof version !== 'string' || typeof manifest !== 'string' || typeof entry !== 'string') return null;
  for (const file of seal.files) {
    if (!isObject(file) || typeof file.path !== 'string') return null;
    const facts = files.stat(join(directory, file.path));
    if (facts?.kind !== 'file' || facts.size !== file.size) return null;
    // A file that the agent's user may not read or run counts as missing.
    const needs = file.executable === true ? runnable : readable;
    if ((facts.mode & needs) !== needs) return null;
  }
  const schemaMax = schemaMaxOf(seal);
  if (runtime === null) return { version, manifest, entry, runtime, schemaMax };
  if (!isObject(runtime) || typeof runtime.digest !== 'string' || typeof runtime.entry !== 'string') return null;
  return { version, manifest, entry, runtime: { digest: runtime.digest, entry: runtime.entry }, schemaMax };
}

export function schemaMaxOf({ state }: Record<string, unknown>): number | undefined {
  if (!isObject(state) || !isObject(state.reads)) return undefined;
  const { writes, reads } = state;
  const isSchema = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  return isSchema(writes) && isSchema(reads.max) ? Math.max(writes, reads.max) : undefined;
}

/** The seal of a slot that looks whole, its runtime included. */
export function launchable(files: Files, layout: Layout, component: string, slot: string): QuickSeal | null {
  const seal = quickSeal(files, layout.slot(component, slot));
  if (seal === null || seal.runtime === null) return seal;
  return quickSeal(files, layout.runtime(seal.runtime.digest)) === null ? null : seal;
}
