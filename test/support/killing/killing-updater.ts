import { existsSync, unlinkSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { layoutOf } from '../../../protocol/layout.ts';
import { rows } from '../../../protocol/state-record.ts';
import { realClock } from '../../../updater/effects/clock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { type Lock, takeLock } from '../../../updater/lock.ts';
import { runUpdater } from '../../../updater/loop.ts';
import { openAppliance } from '../../../updater/run.ts';
import { loadState } from '../../../updater/state-store.ts';
import { killingFiles, moments, type Plan } from './killing-files.ts';

/**
 * The product's own updater run, with SIGKILL at one named moment. It holds the lock from the start, so that no other
 * run gets to the moment first; it says `holding` then, and `dying` or `waiting` when the moment has come.
 */
const optionsShape = z.object({
  root: z.string(),
  version: z.string(),
  row: z.enum(rows),
  moment: z.enum(moments),
  operation: z.coerce.number().default(1),
});

/** A moment that does not come within this time never does: the test that waits for it fails with this exit. */
const comesWithinMs = 60_000;
const exitNeverCame = 3;
const lookEveryMs = 20;
const betweenRunsMs = 200;

const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    version: { type: 'string' },
    row: { type: 'string' },
    moment: { type: 'string' },
    operation: { type: 'string' },
  },
});
const options = optionsShape.parse(values);
const layout = layoutOf(options.root);
const goFile = `${layout.run}/go`;
let held = false;

/** Without the event loop: a killed process does nothing more either. */
function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function die(): never {
  say('dying');
  process.kill(process.pid, 'SIGKILL');
  for (;;) sleepSync(lookEveryMs);
}

function hold(): void {
  say('waiting');
  for (const endsAt = performance.now() + comesWithinMs; performance.now() < endsAt; sleepSync(lookEveryMs)) {
    if (!existsSync(goFile)) continue;
    unlinkSync(goFile);
    held = true;
    return;
  }
  process.exit(exitNeverCame);
}

async function lockOf(): Promise<Lock> {
  for (const endsAt = performance.now() + comesWithinMs; performance.now() < endsAt; await delay(lookEveryMs)) {
    const lock = takeLock(layout);
    if (lock !== null) return lock;
  }
  throw new Error('another updater never ended');
}

const lock = await lockOf();
say('holding');
const plan: Plan = options;
const effects = { files: realFiles, stateRecords: layout.stateRecords, die, hold };
const files = killingFiles(effects, plan, loadState(realFiles, layout).row);
const line = { files, clock: realClock, layout, version: options.version };
for (const endsAt = performance.now() + comesWithinMs; performance.now() < endsAt; await delay(betweenRunsMs)) {
  const appliance = openAppliance(line, (text) => process.stderr.write(`${realClock.monoMs()} ${text}\n`));
  const rested = await runUpdater(appliance, loadState(files, layout), true);
  // Held and let go, it has done its part when the transaction is over.
  if (held && rested.row === 'idle') break;
}
lock.release();
if (plan.moment !== 'hold') process.exitCode = exitNeverCame;
