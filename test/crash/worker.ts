import { parentPort, workerData } from 'node:worker_threads';
import { Claims } from './claims.ts';
import { enumerateKind } from './enumerate-kind.ts';
import { kindsOf } from './kinds.ts';
import { HealthSocket } from './model-agent.ts';
import { modelLayout } from './model-appliance.ts';
import { rememberKeys } from './remembered-keys.ts';
import type { Scenes } from './scenes.ts';

/** What a thread of the enumerator is given. */
export interface Work {
  readonly scenes: Scenes;
  readonly shared: SharedArrayBuffer;
  readonly socket: string;
  readonly names: readonly string[];
  readonly stopAtFirst: boolean;
  readonly seed: number;
  readonly samples: number;
  readonly budgetMs: number;
}

/** One thread: all kinds, each state that no other thread has claimed. Posts a report for each kind. */
async function work({ scenes, shared, socket: path, names, budgetMs, ...options }: Work): Promise<void> {
  const socket = HealthSocket.inProcess(path);
  const claims = new Claims(shared);
  const endMs = performance.now() + budgetMs;
  const kinds = kindsOf(scenes, modelLayout(path), socket).filter(({ name }) => names.includes(name));
  for (const [index, kind] of kinds.entries()) {
    const share = Math.max(0, endMs - performance.now()) / (kinds.length - index);
    parentPort?.postMessage(await enumerateKind(kind, { ...options, budgetMs: share, claims }));
  }
  await socket.close();
}

// Records are half a page too large for the usual pool, and are read a hundred times in a recovery.
Buffer.poolSize = 1 << 18;
rememberKeys();
await work(workerData);
