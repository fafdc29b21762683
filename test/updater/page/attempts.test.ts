import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { Attempts, waitAfterMs } from '../../../updater/page/attempts.ts';
import {
  decodeFailures,
  encodeFailures,
  type Failures,
  failuresBytes,
  failuresOf,
  type PeerName,
  type Tally,
  tallyOf,
  withFailure,
  withoutFailures,
} from '../../../updater/page/failures.ts';
import { isPin, makePin } from '../../../updater/page/pin.ts';
import { PageBox, soundStatus } from './page-box.ts';

const wrongPin = '00000000';
const who = 'uid:1000';
const other = 'uid:1001';
const attemptsOf = (box: PageBox): Attempts => new Attempts(box.effects(), box.layout);

async function fail(box: PageBox, times: number): Promise<void> {
  const attempts = attemptsOf(box);
  for (let i = 0; i < times; i += 1) {
    const attempt = await attempts.try(wrongPin, who);
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
  it('are counted where a directory lies in the place of the count, and none of them is free', async () => {
    const box = new PageBox();
    mkdirSync(box.layout.pinFailures);
    expect(await attemptsOf(box).try(wrongPin, who)).toEqual({ outcome: 'wrong', left: 0 });
    expect((await attemptsOf(box).try(wrongPin, who)).outcome).toBe('wait');
    box.clock.monoMs += waitAfterMs(6) + 1;
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'right' });
  });

  it('that are right are right, again and again', async () => {
    const box = new PageBox();
    const attempts = attemptsOf(box);
    for (let i = 0; i < 8; i += 1) expect(await attempts.try(box.pin, who)).toEqual({ outcome: 'right' });
  });

  it('that are wrong five times make their peer wait, the right one too', async () => {
    const box = new PageBox();
    const attempts = attemptsOf(box);
    for (const left of [4, 3, 2, 1, 0]) expect(await attempts.try(wrongPin, who)).toEqual({ outcome: 'wrong', left });
    expect(await attempts.try(box.pin, who)).toEqual({ outcome: 'wait', seconds: 2 });
    box.clock.monoMs += 2_000;
    expect(await attempts.try(box.pin, who)).toEqual({ outcome: 'right' });
    expect(await attempts.try(wrongPin, who)).toEqual({ outcome: 'wrong', left: 4 });
  });

  it('wait longer each time, and never for ever', async () => {
    expect([4, 5, 6, 7, 12, 13, 1_000].map(waitAfterMs)).toEqual([0, 2_000, 4_000, 8_000, 256_000, 300_000, 300_000]);
    const box = new PageBox();
    await fail(box, 30);
    box.clock.monoMs += 300_000;
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'right' });
  });

  it('do not lengthen the wait while it lasts', async () => {
    const box = new PageBox();
    await fail(box, 5);
    const attempts = attemptsOf(box);
    for (let i = 0; i < 20; i += 1) expect(await attempts.try(wrongPin, who)).toEqual({ outcome: 'wait', seconds: 2 });
    expect(box.failures()).toMatchObject({ peers: [[who, 5, expect.any(Number)]] });
  });

  it('are counted over a restart of the page', async () => {
    const box = new PageBox();
    await fail(box, 5);
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'wait', seconds: 2 });
  });

  it('begin their wait anew with a new boot, whose clock begins at nought', async () => {
    const box = new PageBox();
    await fail(box, 5);
    Object.assign(box.clock, { boot: 'boot-2', monoMs: 500 });
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'wait', seconds: 2 });
    box.clock.monoMs = 1_500;
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'wait', seconds: 1 });
    box.clock.monoMs = 2_000;
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'right' });
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
    expect(await attemptsOf(box).try(box.pin, who)).toMatchObject({ outcome: 'not-counted' });
    expect(seen).toMatchObject([{ peers: [[who, 1, expect.any(Number)]] }]);
  });

  it('are not looked at when they cannot be counted', async () => {
    const box = new PageBox();
    box.files = {
      ...realFiles,
      create: () => {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      },
    };
    expect(await attemptsOf(box).try(box.pin, who)).toMatchObject({ outcome: 'not-counted' });
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
    expect(await attemptsOf(box).try(wrongPin, who)).toEqual({ outcome: 'wrong', left: 3 });
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'right' });
  });

  it('have no free ones left when the count is damaged', async () => {
    const box = new PageBox();
    writeFileSync(box.layout.pinFailures, '{"count":');
    expect(await attemptsOf(box).try(wrongPin, who)).toEqual({ outcome: 'wrong', left: 0 });
    expect(await attemptsOf(box).try(box.pin, who)).toMatchObject({ outcome: 'wait' });
  });

  it('are all refused where no PIN was set or it is damaged', async () => {
    const box = new PageBox();
    writeFileSync(box.layout.pin, '{}');
    expect(await attemptsOf(box).try(box.pin, who)).toEqual({ outcome: 'no-pin' });
    rmSync(box.layout.pin);
    expect(await attemptsOf(box).try('', who)).toEqual({ outcome: 'no-pin' });
    expect(box.failures()).toBeNull();
  });

  it('are counted one by one when they arrive together, and no more than a few wait', async () => {
    const box = new PageBox();
    const attempts = attemptsOf(box);
    const all = await Promise.all(Array.from({ length: 10 }, () => attempts.try(wrongPin, who)));
    expect(all.filter(({ outcome }) => outcome === 'wrong')).toHaveLength(4);
    expect(all.filter(({ outcome }) => outcome === 'busy')).toHaveLength(6);
    expect(box.failures()).toMatchObject({ peers: [[who, 4, expect.any(Number)]] });
  });

  it('of one peer neither make another wait, nor take its turn', async () => {
    const box = new PageBox();
    await fail(box, 20);
    const attempts = attemptsOf(box);
    const crowd = Array.from({ length: 10 }, () => attempts.try(wrongPin, who));
    expect(await attempts.try(box.pin, other)).toEqual({ outcome: 'right' });
    await Promise.all(crowd);
    expect(await attempts.try(wrongPin, other)).toEqual({ outcome: 'wrong', left: 4 });
    // Nor does the right one of another set free who was wrong.
    expect(await attempts.try(box.pin, who)).toMatchObject({ outcome: 'wait' });
    expect(await attemptsOf(box).try(box.pin, who)).toMatchObject({ outcome: 'wait' });
  });

  it('count for everybody where a version before counted them so, until the right one', async () => {
    const box = new PageBox();
    const last = { boot: box.clock.boot, monoMs: box.clock.monoMs };
    writeFileSync(box.layout.pinFailures, JSON.stringify({ v: 1, count: 8, last }).padEnd(512));
    for (const peer of [who, other] as const)
      expect(await attemptsOf(box).try(box.pin, peer)).toEqual({ outcome: 'wait', seconds: 16 });
    box.clock.monoMs += 16_000;
    expect(await attemptsOf(box).try(wrongPin, who)).toEqual({ outcome: 'wrong', left: 0 });
    expect(await attemptsOf(box).try(box.pin, other)).toEqual({ outcome: 'right' });
    expect(await attemptsOf(box).try(wrongPin, 'uid:7')).toEqual({ outcome: 'wrong', left: 4 });
    expect(await attemptsOf(box).try(box.pin, who)).toMatchObject({ outcome: 'wait' });
  });
});

describe('the record of wrong PINs', () => {
  const peers = Array.from({ length: 40 }, (_, i): PeerName => (i % 2 === 0 ? `uid:${i}` : `ip:192.0.2.${i}`));
  const counted = (failures: Failures, peer: PeerName, times: number, nowMs: number): Failures =>
    Array.from({ length: times }).reduce<Failures>((now) => withFailure(now, peer, nowMs), failures);

  it('is one sector, whoever comes', () => {
    const name = fc.oneof(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((uid): PeerName => `uid:${uid}`),
      fc.ipV4().map((address): PeerName => `ip:${address}`),
      fc.constant<PeerName>('ip:ffff:ffff:ffff:ffff'),
    );
    const boot = '01234567-89ab-cdef-0123-456789abcdef';
    const when = fc.integer({ min: 0, max: 400 * 86_400_000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.integer({ min: 1, max: 20_000 }), when), { maxLength: 30 }), (tries) => {
        let failures = failuresOf(0, 0, boot);
        for (const [peer, count, nowMs] of tries) {
          const before = withFailure(failures, peer, nowMs);
          const tally = { count, monoMs: nowMs };
          failures = before.peers.has(peer) ? { ...before, peers: new Map(before.peers).set(peer, tally) } : before;
          const bytes = encodeFailures(failures);
          expect(bytes.length).toBe(failuresBytes);
          expect(encodeFailures(decodeFailures(bytes))).toEqual(bytes);
        }
      }),
    );
    const long = { count: 9_999, monoMs: 400 * 86_400_000 };
    const uids = [1, 2, 3, 4, 5].map((n): [PeerName, Tally] => [`uid:429496729${n}`, long]);
    const nets = [1, 2, 3].map((n): [PeerName, Tally] => [`ip:ffff:ffff:ffff:fff${n}`, long]);
    const full = { boot, start: long, others: { uid: long, ip: long }, peers: new Map([...uids, ...nets]) };
    expect(encodeFailures(full)).toHaveLength(failuresBytes);
  });

  it('keeps so many peers apart; those beyond share one count of their class, so that coming as many is no use', () => {
    const full = peers.slice(0, 20).reduce((now, peer) => counted(now, peer, 3, 1_000), failuresOf());
    expect([...full.peers.keys()]).toEqual([
      'uid:0',
      'ip:192.0.2.1',
      'uid:2',
      'ip:192.0.2.3',
      'uid:4',
      'ip:192.0.2.5',
      'uid:6',
      'uid:8',
    ]);
    expect(tallyOf(full, 'uid:0', 1_000).count).toBe(3);
    expect([tallyOf(full, 'uid:99', 1_000).count, tallyOf(full, 'ip:192.0.2.99', 1_000).count]).toEqual([15, 21]);
  });

  it('gives the place of one that nobody added to for an hour to another', () => {
    const full = ['uid:1', 'uid:2', 'uid:3', 'uid:4', 'uid:5'].reduce<Failures>(
      (now, peer, index) => counted(now, `uid:${peer.slice(4)}`, 9, index * 1_000),
      failuresOf(),
    );
    const later = withFailure(full, 'uid:6', 3_600_500);
    expect([...later.peers.keys()]).toEqual(['uid:2', 'uid:3', 'uid:4', 'uid:5', 'uid:6']);
    expect(tallyOf(later, 'uid:6', 3_600_500).count).toBe(1);
  });

  it('is written as every version before can read it while nothing stands against anybody', () => {
    const record: unknown = JSON.parse(
      encodeFailures(withoutFailures(withFailure(failuresOf(), who, 5), who, 6)).toString(),
    );
    expect(record).toMatchObject({ v: 1, count: 0 });
  });
});

describe('the page', () => {
  it('says that its PIN is damaged before anybody types one', async () => {
    const box = new PageBox();
    await box.start();
    box.writeStatus(soundStatus(box.clock));
    expect((await box.ask()).text).toContain('Each action needs the PIN that was shown at set-up.');
    for (const damage of [() => writeFileSync(box.layout.pin, 'gar{bage'), () => rmSync(box.layout.pin)]) {
      damage();
      const text = (await box.ask()).text;
      expect(text).toContain('the PIN of this page is missing or damaged');
      expect(text).not.toContain('Each action needs the PIN');
    }
  });
});
