import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { printable } from '../../../protocol/printable.ts';
import type { SwapStep } from './swapping.ts';

/**
 * `node swapper.ts STEPS`: takes these steps again and again until it is killed, and says `begun` after the first time. It is
 * one process, so that nothing of it acts after its end; each of its states lasts for about a millisecond.
 */
const pauseMs = 1;

function take(step: SwapStep): void {
  const [kind, path] = step;
  if (kind === 'link') {
    rmSync(path, { force: true });
    symlinkSync(step[2], path);
  }
  if (kind === 'rename') renameSync(path, step[2]);
  if (kind === 'write') writeFileSync(path, step[2], { mode: 0o600 });
  if (kind === 'directory') mkdirSync(path, { recursive: true });
  if (kind === 'remove') rmSync(path, { force: true });
  if (kind === 'remove-all') for (const name of readdirSync(path)) rmSync(join(path, name), { force: true });
}

function tryStep(step: SwapStep): void {
  try {
    take(step);
  } catch (error) {
    // Who was there first, or has closed it, had its way; the next time may find it open.
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
}

const steps: readonly SwapStep[] = JSON.parse(process.argv[2] ?? '[]');
for (let round = 1; ; round += 1) {
  for (const step of steps) {
    tryStep(step);
    await delay(pauseMs);
  }
  if (round === 1) process.stdout.write(printable('begun\n'));
}
