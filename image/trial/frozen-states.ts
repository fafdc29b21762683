import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { isMissing } from '../durable.ts';
import { ImageError } from '../errors.ts';
import { trialTexts } from '../texts.ts';

/** What an earlier release left on an appliance, kept for ever: `agent.json` and `state.db`, as far as it left them. */
export interface FrozenState {
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly path: string }[];
}

/** All that goes back with a slot, and so all that a release finds from the one before it. */
const stateNames = ['agent.json', 'state.db', 'state.db-wal'];

export function statesDirectory(sourceDir: string): string {
  return join(sourceDir, 'test', 'protocol', 'v1', 'states');
}

/** @throws ImageError `states-missing`: without any state, every trial would pass */
export async function readFrozenStates(directory: string): Promise<FrozenState[]> {
  let names: string[] = [];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  if (names.length === 0) {
    throw new ImageError('states-missing', trialTexts.noStates(directory), trialTexts.noStatesNext);
  }
  return Promise.all(
    names.sort().map(async (name) => {
      const there = new Set(await readdir(join(directory, name)));
      const files = stateNames.filter((file) => there.has(file));
      return { name, files: files.map((file) => ({ name: file, path: join(directory, name, file) })) };
    }),
  );
}

/** Puts a copy where the agent looks for it; the frozen one itself is never opened. */
export async function layOut(state: FrozenState, agentDir: string): Promise<void> {
  for (const { name, path } of state.files) await copyFile(path, join(agentDir, name));
}

/**
 * The schema of a state's database, in the one row in `meta` that every agent writes. 0: it has none. null: no
 * database.
 * @param scratch a directory of its own: opening a database changes what is beside it
 */
export async function schemaOf(state: FrozenState, scratch: string): Promise<number | null> {
  if (!state.files.some(({ name }) => name === 'state.db')) return null;
  await mkdir(scratch);
  await layOut(state, scratch);
  const database = new DatabaseSync(join(scratch, 'state.db'));
  try {
    const meta = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'").get();
    if (meta === undefined) return 0;
    return z.object({ schema: z.int() }).parse(database.prepare('SELECT schema FROM meta').get()).schema;
  } finally {
    database.close();
  }
}
