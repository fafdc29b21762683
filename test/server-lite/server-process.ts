import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { z } from 'zod';
import { patienceMs } from '../support/world/wait.ts';

export const serverMain = resolve(import.meta.dirname, '..', '..', 'server-lite', 'main.ts');

const lineShape = z.object({
  event: z.literal('listening'),
  url: z.url(),
  pid: z.int(),
  token: z.string().optional(),
  tokenFile: z.string().nullable().optional(),
  tokenStored: z.string().optional(),
});

/** Starts the server as a process of its own, and waits for its one line. */
export async function serve(data: string, more: readonly string[] = [], node: readonly string[] = []) {
  const args = [...node, serverMain, 'serve', '--data', data, '--json', '--pace-s', '1', ...more];
  const child = execa(process.execPath, args, { reject: false });
  // A server that ends before it has said where it listens closes its output, and the line is not there.
  const [line] = await once(createInterface({ input: child.stdout }), 'line', {
    signal: AbortSignal.timeout(patienceMs),
  });
  return { child, line: lineShape.parse(JSON.parse(String(line))) };
}

export async function temporary(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'hf-process-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
