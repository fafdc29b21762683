import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { takeHint } from '../../../updater/run/hint.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';

let layout: Layout;
let clock: TestClock;
beforeEach(() => {
  layout = temporaryAppliance();
  clock = new TestClock();
  mkdirSync(layout.run, { recursive: true });
  writeFileSync(layout.hint, '');
});
const take = () => takeHint({ files: realFiles, layout, clock });
const touch = (second: number) => utimesSync(layout.hint, second, second);

describe('the hint of the agent', () => {
  it('is none until its time is another one, and is taken once', () => {
    expect([take(), take()]).toEqual([false, false]);
    touch(1_000);
    expect([take(), take()]).toEqual([true, false]);
  });

  it('may bear any time: only that it is another one counts', () => {
    take();
    for (const second of [4_000_000_000, 0, 1_000]) {
      touch(second);
      clock.nowMs += 60_000;
      expect(take()).toBe(true);
    }
  });

  it('is taken once a minute, however often it comes, and the last one is not lost', () => {
    take();
    let taken = 0;
    for (let i = 1; i <= 600; i += 1) {
      touch(i);
      if (take()) taken += 1;
      clock.nowMs += 200;
    }
    expect(taken).toBe(2);
    clock.nowMs += 60_000;
    expect([take(), take()]).toEqual([true, false]);
  });

  it('is none where its file is gone, and what was noted of it may be damaged', () => {
    take();
    writeFileSync(`${layout.run}/hint-taken.json`, '{}');
    touch(5);
    expect(take()).toBe(false);
    touch(6);
    expect(take()).toBe(true);
    rmSync(layout.hint);
    expect(take()).toBe(false);
  });
});
