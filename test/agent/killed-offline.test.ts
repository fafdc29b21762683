import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestServer } from '../support/test-server.ts';
import { until } from './agent-process.ts';
import { RecordsMade } from './records-made.ts';

/** A record is made each second: between two kills 18 of them, so that ten kills take three minutes. */
const intervalMs = 1_000;
const recordsBetween = 18;
const kills = 10;
const testMs = 900_000;

let root: string;
let agent: ChildProcess | null = null;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-killed-'));
});
afterEach(() => {
  agent?.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

async function ended(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

it(
  'three minutes without the server and killed ten times, and then it has every record, none of them twice',
  async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    const records = await RecordsMade.enrol(bench, root, { intervalMs });
    const begin = () => spawn(process.execPath, [resolve('agent/main.ts'), '--root', root], { stdio: 'ignore' });
    agent = begin();
    await until('an outbox', () => {
      try {
        return records.counts().made > 0;
      } catch {
        return false;
      }
    });
    await until('the first acknowledgement', () => records.counts().left < records.counts().made);

    await bench.stop();
    const before = records.counts().made;
    for (let kill = 1; kill <= kills; kill += 1) {
      await until(`the records before kill ${kill}`, () => records.counts().made >= before + kill * recordsBetween);
      await ended(agent, 'SIGKILL');
      if (kill === kills) {
        expect(records.counts().left).toBeGreaterThanOrEqual(kills * recordsBetween);
        await bench.run();
        records.writeCredentials();
      }
      agent = begin();
    }
    await until('all of them at the server', () => records.counts().left === 0);
    await ended(agent, 'SIGTERM');
    const { made, stored } = records.names();
    // What was made after the last look waits for the next start.
    const left = records.counts().left;
    expect(stored).toEqual([...new Set(stored)]);
    expect(made.filter((name) => !stored.includes(name))).toHaveLength(left);
    expect(stored.filter((name) => !made.includes(name))).toEqual([]);
    expect(stored.length).toBeGreaterThan(kills * recordsBetween);
  },
  testMs,
);
