import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freeBytesFail } from './checks.ts';
import type { AgentFiles, Log } from './effects/effects.ts';
import { systemCode } from './errors.ts';
import { storeTexts } from './texts.ts';

/** Everything that a version of the agent keeps in its directories; a version that keeps more adds it here. */
const ours = /^(state|outbox)\.db(-wal|-shm|-journal)?$|^agent\.json$|^keys$/;

/**
 * A disk or quota that an earlier agent filled must not keep this one from opening its databases: without room, files
 * that no version keeps are removed, and so are databases that were set aside.
 */
export async function makeRoom(files: AgentFiles, directory: string, log: Log): Promise<void> {
  const space = await files.space(directory);
  if (space === null || space.freeBytes >= freeBytesFail) return;
  const removed: string[] = [];
  for (const name of readdirSync(directory)) {
    if (ours.test(name)) continue;
    try {
      rmSync(join(directory, name), { recursive: true, force: true });
      removed.push(name);
    } catch (error) {
      if (systemCode(error) === null) throw error;
    }
  }
  if (removed.length > 0) log.warn({ directory, removed: removed.slice(0, 20) }, storeTexts.madeRoom);
}
