import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { Attempts, waitAfterMs } from '../../../updater/page/attempts.ts';
import { isPin, makePin } from '../../../updater/page/pin.ts';
import { PageBox } from './page-box.ts';

const wrongPin = '00000000';
const attemptsOf = (box: PageBox): Attempts => new Attempts(box.effects(), box.layout);

async function fail(box: PageBox, times: number): Promise<void> {
  const attempts = attemptsOf(box);
  for (let i = 0; i < times; i += 1) {
    const attempt = await attempts.try(wrongPin);
    if (attempt.outcome === 'wait') box.clock.monoMs += attempt.seconds * 1000;
  }
}

describe('a PIN', () => {
  it('has eight digits, and is kept only as a salted hash', async () => {
    const [first, second] = [makePin(), makePin()];
    expect(first.pin).toMatch(/^\d{8}$/);
    expect(JSON.stringify(first.record)).not.toContain(first.pin);
    expect(first.record.salt).not.toBe(second.record.salt);
    expect(await isPin(first.record, first.pin)).toBe(true);
    expect(await isPin(first.record, second.pin)).toBe(false);
  });

  it('may be typed with blanks and dashes', async () => {
    const { pin, record } = makePin();
    expect(await isPin(record, ` ${pin.slice(0, 4)} - ${pin.slice(4)} `)).toBe(true);
  });
});

describe('tries of a PIN', () => {
  it('that are right are right, again and again', async () => {
    const box = new PageBox();
    const attempts = attemptsOf(box);
    for (let i = 0; i < 8; i += 1) expect(await attempts.try(box.pin)).toEqual({ outcome: 'right' });
  });

  it('that are wrong five times make everybody wait, the right one too', async () => {
    const box = new PageBox();
    const attempts = attemptsOf(box);
    for (const left of [4, 3, 2, 1, 0]) expect(await attempts.try(wrongPin)).toEqual({ outcome: 'wrong', left });
    expect(await attempts.try(box.pin)).toEqual({ outcome: 'wait', seconds: 2 });
    box.clock.monoMs += 2_000;
    expect(await attempts.try(box.pin)).toEqual({ outcome: 'right' });
    expect(await attempts.try(wrongPin)).toEqual({ outcome: 'wrong', left: 4 });
  });

  it('wait longer each time, and never for ever', async () => {
    expect([4, 5, 6, 7, 12, 13, 1_000].map(waitAfterMs)).toEqual([0, 2_000, 4_000, 8_000, 256_000, 300_000, 300_000]);
    const box = new PageBox();
    await fail(box, 30);
    box.clock.monoMs += 300_000;
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'right' });
  });

  it('do not lengthen the wait while it lasts', async () => {
    const box = new PageBox();
    await fail(box, 5);
    const attempts = attemptsOf(box);
    for (let i = 0; i < 20; i += 1) expect(await attempts.try(wrongPin)).toEqual({ outcome: 'wait', seconds: 2 });
    expect(box.failures()).toMatchObject({ count: 5 });
  });

  it('are counted over a restart of the page', async () => {
    const box = new PageBox();
    await fail(box, 5);
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'wait', seconds: 2 });
  });

  it('begin their wait anew with a new boot, whose clock begins at nought', async () => {
    const box = new PageBox();
    await fail(box, 5);
    Object.assign(box.clock, { boot: 'boot-2', monoMs: 500 });
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'wait', seconds: 2 });
    box.clock.monoMs = 1_500;
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'wait', seconds: 1 });
    box.clock.monoMs = 2_000;
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'right' });
  });

  it('are on disk before the PIN is looked at', async () => {
    const box = new PageBox();
    const seen: unknown[] = [];
    // The count is synced, then the power fails: as far as the disk knows, the try was made.
    box.files = {
      ...realFiles,
      sync: (handle) => {
        realFiles.sync(handle);
        seen.push(JSON.parse(readFileSync(box.layout.pinFailures, 'utf8')));
        throw Object.assign(new Error('the power failed'), { code: 'EIO' });
      },
    };
    expect(await attemptsOf(box).try(box.pin)).toMatchObject({ outcome: 'not-counted' });
    expect(seen).toMatchObject([{ count: 1 }]);
  });

  it('are not looked at when they can not be counted', async () => {
    const box = new PageBox();
    box.files = {
      ...realFiles,
      create: () => {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      },
    };
    expect(await attemptsOf(box).try(box.pin)).toMatchObject({ outcome: 'not-counted' });
  });

  it('are counted on a full disk once the file is there, because it is written in place', async () => {
    const box = new PageBox();
    await fail(box, 1);
    box.files = {
      ...realFiles,
      create: () => {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      },
    };
    expect(await attemptsOf(box).try(wrongPin)).toEqual({ outcome: 'wrong', left: 3 });
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'right' });
  });

  it('have no free ones left when the count is damaged', async () => {
    const box = new PageBox();
    writeFileSync(box.layout.pinFailures, '{"count":');
    expect(await attemptsOf(box).try(wrongPin)).toEqual({ outcome: 'wrong', left: 0 });
    expect(await attemptsOf(box).try(box.pin)).toMatchObject({ outcome: 'wait' });
  });

  it('are all refused where no PIN was set or it is damaged', async () => {
    const box = new PageBox();
    writeFileSync(box.layout.pin, '{}');
    expect(await attemptsOf(box).try(box.pin)).toEqual({ outcome: 'no-pin' });
    rmSync(box.layout.pin);
    expect(await attemptsOf(box).try('')).toEqual({ outcome: 'no-pin' });
    expect(box.failures()).toBeNull();
  });

  it('are counted one by one when they arrive together, and no more than a few wait', async () => {
    const box = new PageBox();
    const attempts = attemptsOf(box);
    const all = await Promise.all(Array.from({ length: 10 }, () => attempts.try(wrongPin)));
    expect(all.filter(({ outcome }) => outcome === 'wrong')).toHaveLength(4);
    expect(all.filter(({ outcome }) => outcome === 'busy')).toHaveLength(6);
    expect(box.failures()).toMatchObject({ count: 4 });
  });
});
