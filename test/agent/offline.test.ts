import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { runAgent } from '../../agent/agent.ts';
import type { Effects } from '../../agent/effects/effects.ts';
import { systemFiles } from '../../agent/effects/files.ts';
import { gotHttp, HttpError } from '../../agent/effects/http.ts';
import { TestServer } from '../support/test-server.ts';
import { RecordsMade } from './records-made.ts';

const hourMs = 3_600_000;
const outageHours = 72;
const intervalMs = 20_000;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-off-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(root, { recursive: true });
});

/** Lets what the network and the disk have to say come in; timers stand still meanwhile. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The one thing that fails. */
class Cable {
  isOut = false;
  /** While it is out. */
  tries = 0;
}

function effectsOver(cable: Cable, lines: string[]): Effects {
  const nowMs = () => vi.getMockedSystemTime()?.getTime() ?? 0;
  const begunMs = nowMs();
  const note = (facts: object, message: string) => void lines.push(`${message} ${JSON.stringify(facts)}`);
  return {
    clock: { monoMs: () => nowMs() - begunMs, wallS: () => Math.floor(nowMs() / 1_000) },
    files: {
      ...systemFiles,
      // At once, so that no reading waits for a disk while the clock runs.
      space: async (path) => ({ freeBytes: Number(statfsSync(path).bavail) * 4_096, volatile: false }),
    },
    http: {
      send: (request) => {
        if (!cable.isOut) return gotHttp.send(request);
        cable.tries += 1;
        return Promise.reject(new HttpError('unreachable', 'no cable'));
      },
    },
    sensor: async () => freemem(),
    log: { info: note, warn: note, error: note },
    recentLog: () => lines,
    setLogLevel: () => undefined,
    hideInLog: () => undefined,
    random: () => 0.5,
    boot: '11111111-1111-4111-8111-111111111111',
  };
}

it('72 hours without the server, and then it has every record, none of them twice', async () => {
  await using bench = await TestServer.start([], { openToThisHost: true });
  const records = await RecordsMade.enrol(bench, root, { intervalMs });
  const { layout, start } = records;

  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  const cable = new Cable();
  const lines: string[] = [];
  const effects = effectsOver(cable, lines);
  const stopping = new AbortController();
  const parts = { effects, layout, start, version: '1.0.49', program: root };
  const over = runAgent(parts, stopping.signal);

  /** Virtual seconds, with time for real answers after each. */
  const until = async (isSo: () => boolean) => {
    for (let s = 0; !isSo(); s += 1) {
      if (s > 20_000) throw new Error(lines.slice(-20).join('\n'));
      await vi.advanceTimersByTimeAsync(1_000);
      await turns(20);
    }
  };
  await turns(200);
  await until(() => lines.some((line) => line.startsWith('the server answers')));
  await until(() => records.counts().made > 3 && records.counts().left === 0);

  cable.isOut = true;
  for (let minute = 0; minute < outageHours * 60; minute += 1) {
    await vi.advanceTimersByTimeAsync(60_000);
    await turns(2);
  }
  const after = records.counts();
  expect(after.made).toBeGreaterThanOrEqual((outageHours * hourMs) / intervalMs);
  expect(after.left).toBeGreaterThanOrEqual((outageHours * hourMs) / intervalMs);
  // Once a minute at the most, after the pauses have grown.
  expect(cable.tries).toBeGreaterThan(outageHours * 20);
  expect(cable.tries).toBeLessThan(outageHours * 90);

  cable.isOut = false;
  await until(() => records.counts().left === 0);
  stopping.abort();
  await vi.advanceTimersByTimeAsync(5_000);
  await turns(50);
  await over;

  const { made, stored } = records.names();
  expect(stored).toEqual(made);
});
