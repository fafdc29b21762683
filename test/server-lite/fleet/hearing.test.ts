import { describe, expect, it } from 'vitest';
import { hearingOf, hearingTickMs } from '../../../server-lite/fleet/hearing.ts';

/** A server that runs, and looks at its clock as it does, for so many milliseconds. */
function running() {
  let ms = 1_000;
  const hearing = hearingOf(
    () => ms,
    () => ms,
  );
  return {
    hearing,
    runs: (forMs: number) => {
      for (const endsMs = ms + forMs; ms < endsMs; hearing.tick()) ms += hearingTickMs;
    },
    isStopped: (forMs: number) => {
      ms += forMs;
    },
  };
}

describe('silence', () => {
  it('is what passed since an updater was heard, or since the server listens', () => {
    const { hearing, runs } = running();
    runs(5_000);
    expect(hearing.silentMs('alpha')).toBe(0);
    hearing.begin();
    runs(5_000);
    hearing.heard('beta');
    runs(7_000);
    expect([hearing.silentMs('alpha'), hearing.silentMs('beta')]).toEqual([12_000, 7_000]);
  });

  it.each(['the tick', 'a check-in of another one', 'a look'])(
    'has none of the time in which the server was stopped, whatever it does first then: %s',
    (first) => {
      const { hearing, runs, isStopped } = running();
      hearing.begin();
      hearing.heard('alpha');
      runs(4_000);
      isStopped(600_000);
      if (first === 'the tick') hearing.tick();
      if (first === 'a check-in of another one') hearing.heard('beta');
      expect(hearing.silentMs('alpha')).toBe(4_000 + hearingTickMs);
      runs(8_000);
      expect(hearing.silentMs('alpha')).toBe(12_000 + hearingTickMs);
    },
  );

  it('comes also at a server that is stopped again and again', () => {
    const { hearing, isStopped } = running();
    hearing.begin();
    for (let i = 0; i < 20; i += 1) {
      isStopped(60_000);
      hearing.tick();
    }
    expect(hearing.silentMs('alpha')).toBe(20 * hearingTickMs);
  });
});
