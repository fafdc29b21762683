import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { quarantineDirectory } from '../../../updater/agent-data/snapshot.ts';
import { withoutGone, writeHistory } from '../../../updater/outcome/history.ts';
import { ageTrials, keptOf, pruneTrials, trialsKeptDays } from '../../../updater/outcome/kept-trials.ts';
import { transactionTexts } from '../../../updater/words/texts.ts';
import { digestOf } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const hourMs = 60 * 60_000;
let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.run, { recursive: true });
});
const failed = (tx: number) => {
  const directory = quarantineDirectory(layout, tx);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'state.db'), 'of the trial');
};
const isKept = (tx: number) => existsSync(join(layout.snapshots, String(tx)));

describe('what a failed trial made of the state', () => {
  it('is kept for thirty days of running, and no longer', () => {
    const { appliance, clock, lines } = testAppliance(layout);
    failed(7);
    mkdirSync(join(layout.snapshots, '8'), { recursive: true });
    for (let hour = 0; hour <= trialsKeptDays * 24; hour += 1) {
      expect(isKept(7)).toBe(true);
      ageTrials(appliance);
      clock.nowMs += hourMs;
    }
    expect(isKept(7)).toBe(false);
    expect(lines).toContain('the data of the failed trial 7 is 30 days old: removed');
    // The snapshot of a commit is no trial's data, however old it is.
    expect(isKept(8)).toBe(true);
  });

  it('has its age over boots: time that nobody saw does not count, and what was counted stays', () => {
    const { appliance, clock } = testAppliance(layout);
    failed(7);
    for (let boot = 1; boot <= 3; boot += 1) {
      clock.boot = `00000000-0000-4000-8000-00000000000${boot}`;
      clock.nowMs = boot * 40 * 24 * hourMs;
      ageTrials(appliance);
      clock.nowMs += 10 * 24 * hourMs;
      expect(isKept(7)).toBe(true);
      ageTrials(appliance);
    }
    expect(isKept(7)).toBe(false);
  });

  it('is not written down at every run', () => {
    const { appliance, clock } = testAppliance(layout);
    failed(7);
    ageTrials(appliance);
    const path = join(layout.updater, 'trial-ages.json');
    clock.nowMs += hourMs - 1;
    ageTrials(appliance);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ 7: 0 });
    clock.nowMs += 1;
    ageTrials(appliance);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ 7: hourMs });
  });

  it('is named by the history, and by the sentence about the rollback, only while it is there', () => {
    const { appliance } = testAppliance(layout);
    const { files } = appliance;
    failed(7);
    const place = quarantineDirectory(layout, 7);
    const times = { fetchedMs: null, downMs: null, revertedMs: 1, wallS: 0 };
    const line = { tx: 7, component: 'app', from: '1.0.49', to: '1.0.52', outcome: 'rolled-back', ...times } as const;
    const said = '1.0.52 was rolled back, because it was healthy and then crashed again and again (flap): it ended.';
    const text = `${said} ${transactionTexts.trialDataKept(place, trialsKeptDays)}`;
    const shown = () => withoutGone(files, layout, { ...line, reason: 'flap', text }).text;
    expect(shown()).toBe(text);
    writeHistory(files, layout, { ...line, reason: 'flap', text });
    mkdirSync(join(layout.evidence, '7'), { recursive: true });
    const left = { manifest: digestOf('c'), version: '1.0.52', reason: 'trial', verdict: 'flap' } as const;
    const said2 = `what it said last is in ${join(layout.evidence, '7')}`;
    expect(keptOf(appliance, left)).toBe(`its data is kept in ${place}, and ${said2}`);
    rmSync(place, { recursive: true });
    expect(shown()).toBe(said);
    expect(keptOf(appliance, left)).toBe(said2);
  });

  it('is bounded in number too', () => {
    for (const tx of [9, 10, 11, 12]) failed(tx);
    pruneTrials(testAppliance(layout).appliance.files, layout);
    expect([9, 10, 11, 12].filter(isKept)).toEqual([10, 11, 12]);
  });
});
