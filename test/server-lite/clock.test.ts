import { describe, expect, it } from 'vitest';
import { type ClockReadings, clockTrouble, noteClock } from '../../server-lite/fleet/clock.ts';
import { TestServer } from '../support/test-server.ts';

const startMs = Date.parse('2026-06-01T00:00:00Z');
const boot = '5f0c1f0e-8a52-4c1c-9d0e-0a7f4f9d1c11';

interface Pace {
  /** Seconds that its wall clock and its uptime go in each of the server's. */
  readonly wall?: number;
  readonly mono?: number;
  /** Seconds that its wall clock is ahead at the begin. */
  readonly aheadS?: number;
  readonly checkIns?: number;
}

function readingsOf({ wall = 1, mono = 1, aheadS = 0, checkIns = 6 }: Pace): ClockReadings | null {
  let readings: ClockReadings | null = null;
  for (let n = 0; n < checkIns; n += 1) {
    const passedS = n * 30;
    const clock = { wallS: startMs / 1000 + aheadS + passedS * wall, monoMs: 100_000 + passedS * 1_000 * mono };
    readings = noteClock(readings, { boot, clock }, startMs + passedS * 1_000);
  }
  return readings;
}

describe('S44: a clock', () => {
  it.each([
    ['stands still', { wall: 0 }, 'its clock stands or went back in 150 s'],
    ['goes back', { wall: -1 }, 'its clock stands or went back in 150 s'],
    ['stands still in what it calls uptime', { mono: 0 }, 'its uptime stands or goes slowly in 150 s'],
    ['stands still in both', { wall: 0, mono: 0 }, 'its uptime stands or goes slowly in 150 s'],
    ['is in 1970', { aheadS: -startMs / 1000 }, `its clock is ${startMs / 1000} s behind`],
    ['is a day ahead', { aheadS: 86_400 }, 'its clock is 86400 s ahead'],
  ] as const)('that %s is reported', (_, pace, sentence) => {
    expect(clockTrouble(readingsOf(pace))).toBe(sentence);
  });

  it('that is right, a little off, or has only been seen once is not', () => {
    expect(clockTrouble(null)).toBeNull();
    expect(clockTrouble(readingsOf({}))).toBeNull();
    expect(clockTrouble(readingsOf({ aheadS: 200 }))).toBeNull();
    expect(clockTrouble(readingsOf({ wall: 0, mono: 0, checkIns: 2 }))).toBeNull();
  });

  it('of another boot begins anew, and an old reference is replaced', () => {
    const first = readingsOf({});
    const clock = { wallS: startMs / 1000 + 200, monoMs: 0 };
    const rebooted = noteClock(first, { boot: boot.replace('5', '6'), clock }, startMs + 200_000);
    expect(rebooted.reference).toBe(rebooted.latest);
    const later = readingsOf({ checkIns: 200 });
    expect((later?.latest.atMs ?? 0) - (later?.reference.atMs ?? 0)).toBeLessThanOrEqual(16 * 60_000);
  });

  it('is told by the server to whoever looks at the appliance', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    await bench.publish('1.0.53');
    const alpha = await bench.appliance('alpha');
    await alpha.checkIn('updater');
    // The client of this test lives in 1970.
    const { clock } = await bench.show('alpha');
    expect(clock).toMatch(/^its clock is \d+ s behind$/);
    expect(await (await fetch(`${bench.url}/`)).text()).toMatch(/its clock is \d+ s behind/);
  });
});
