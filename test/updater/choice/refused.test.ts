import { describe, expect, it } from 'vitest';
import { isBackingOff, noteRefused } from '../../../updater/choice/refused.ts';
import { digestOf } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const manifest = digestOf('c');
const minute = 60_000;
const hour = 60 * minute;

describe('the tries of a release that is refused each time', () => {
  it('S18: have a budget: a day has no more than fourteen of them', () => {
    const { appliance, clock } = testAppliance(temporaryAppliance());
    let tries = 0;
    for (const endMs = clock.monoMs() + 24 * hour; clock.monoMs() < endMs; clock.nowMs += minute) {
      if (isBackingOff(appliance, manifest)) continue;
      noteRefused(appliance, manifest, 'it is damaged');
      tries += 1;
    }
    // 1, 2, 4 … 256 minutes, and then one each six hours.
    expect(tries).toBeGreaterThan(9);
    expect(tries).toBeLessThanOrEqual(14);
  });

  it('S18: go on being counted after a restart, which does not buy a new one at once', () => {
    const layout = temporaryAppliance();
    const { appliance, clock } = testAppliance(layout);
    for (let n = 0; n < 6; n += 1) noteRefused(appliance, manifest, 'it is damaged');
    const again = testAppliance(layout);
    again.clock.boot = 'another-boot';
    again.clock.nowMs = minute;
    expect(clock.boot).not.toBe(again.clock.boot);
    expect(isBackingOff(again.appliance, manifest)).toBe(true);
    // The sixth try was followed by 32 minutes, not by the first minute.
    again.clock.nowMs += 31 * minute;
    expect(isBackingOff(again.appliance, manifest)).toBe(true);
    again.clock.nowMs += 2 * minute;
    expect(isBackingOff(again.appliance, manifest)).toBe(false);
  });
});
