import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, unlinkSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { layoutOf } from '../../../protocol/layout.ts';
import { rows } from '../../../protocol/state-record.ts';
import { type Lock, takeLock } from '../../../updater/appliance/lock.ts';
import { realClock } from '../../../updater/effects/clock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { loadState } from '../../../updater/record/state-store.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { openAppliance } from '../../../updater/run/run.ts';
import { killingFiles, moments, type Plan } from './killing-files.ts';

/**
 * The product's own updater run, with SIGKILL at named moments. Without `--run` it holds the updater's lock, so that no
 * other run gets to a moment first, and starts one run after the other, each with its own death; then it dies itself.
 * It says `holding` when it has the lock, `waiting` in a row in which it is held, and `dying` before each SIGKILL.
 */
const planShape = z.object({ row: z.enum(rows), moment: z.enum(moments), operation: z.int() });

/** A moment that does not come within this time never does: the test that waits for it fails with this exit. */
const comesWithinMs = 60_000;
const exitNeverCame = 3;
const lookEveryMs = 20;
const betweenRunsMs = 200;

const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    version: { type: 'string' },
    deaths: { type: 'string' },
    run: { type: 'boolean', default: false },
  },
});
const options = z.object({ root: z.string(), version: z.string(), deaths: z.string(), run: z.boolean() }).parse(values);
const deaths = z.array(planShape).parse(JSON.parse(options.deaths));
const layout = layoutOf(options.root);
const goFile = `${layout.run}/go`;

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

async function lockOf(): Promise<Lock> {
  for (const endsAt = performance.now() + comesWithinMs; performance.now() < endsAt; await delay(lookEveryMs)) {
    const lock = takeLock(layout);
    if (lock !== null) return lock;
  }
  throw new Error('another updater never ended');
}

/** One run after the other until the moment comes; a run that was held and let go ends with its transaction. */
async function runTo(plan: Plan): Promise<number> {
  let held = false;
  const hold = () => {
    say('waiting');
    for (const endsAt = performance.now() + comesWithinMs; performance.now() < endsAt; sleepSync(lookEveryMs)) {
      if (!existsSync(goFile)) continue;
      unlinkSync(goFile);
      held = true;
      return;
    }
    process.exit(exitNeverCame);
  };
  const effects = { files: realFiles, stateRecords: layout.stateRecords, die, hold };
  const files = killingFiles(effects, plan, loadState(realFiles, layout).row);
  const line = { files, clock: realClock, layout, version: options.version, builtAtS: 0, home: layout.root };
  for (const endsAt = performance.now() + comesWithinMs; performance.now() < endsAt; await delay(betweenRunsMs)) {
    const appliance = openAppliance(line, (text) => process.stderr.write(`${realClock.monoMs()} ${text}\n`));
    const rested = await runUpdater(appliance, loadState(files, layout), true);
    if (held && rested.row === 'idle') return 0;
  }
  return exitNeverCame;
}

/** @returns the exit status of the first run that was not killed; null when all were */
async function dieAgainAndAgain(): Promise<number | null> {
  const lock = await lockOf();
  say('holding');
  for (const plan of deaths) {
    const own = ['--root', options.root, '--version', options.version, '--deaths', JSON.stringify([plan]), '--run'];
    const child = spawn(process.execPath, [import.meta.filename, ...own], { stdio: 'inherit' });
    await once(child, 'exit');
    if (child.signalCode === 'SIGKILL') continue;
    lock.release();
    return child.exitCode;
  }
  return null;
}

const [only] = deaths;
if (options.run && only !== undefined) process.exitCode = await runTo(only);
else {
  const exitCode = await dieAgainAndAgain();
  if (exitCode === null) die();
  process.exitCode = exitCode;
}
