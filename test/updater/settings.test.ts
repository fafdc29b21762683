import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../updater/effects/files.ts';
import { defaultTrial, loadSettings, settingsShape, trialFloorMs, trialLength } from '../../updater/settings.ts';
import { temporaryAppliance } from './support/temporary-appliance.ts';

const minutes = (n: number) => n * 60_000;
const settings = (trial: { healthyMs: number; deadlineMs: number; belowFloor?: boolean } | null = null) =>
  settingsShape.parse({ processControl: { kind: 'systemd' }, trial });

describe('the length of a trial', () => {
  it('is ten minutes of healthy time and thirty in all where nobody says anything', () => {
    expect(trialLength(undefined, settings())).toEqual({
      healthyMs: minutes(10),
      deadlineMs: minutes(30),
      tries: defaultTrial.tries,
      shortened: false,
    });
  });

  it('is lengthened by a release', () => {
    const asked = { healthyMs: minutes(60), deadlineMs: minutes(120) };
    expect(trialLength(asked, settings())).toMatchObject({ ...asked, shortened: false });
  });

  it('is never shortened by a release', () => {
    expect(trialLength({ healthyMs: 1, deadlineMs: 1 }, settings())).toMatchObject({
      healthyMs: minutes(10),
      deadlineMs: minutes(30),
    });
  });

  it('is shortened by the settings of the appliance, to the floor of five minutes', () => {
    const own = settings({ healthyMs: 1_000, deadlineMs: minutes(20) });
    expect(trialLength(undefined, own)).toMatchObject({
      healthyMs: trialFloorMs,
      deadlineMs: minutes(20),
      shortened: true,
    });
  });

  it('goes below the floor only where the settings say so, and says that it is shortened', () => {
    const own = settings({ healthyMs: 4_000, deadlineMs: 30_000, belowFloor: true });
    expect(trialLength({ healthyMs: minutes(60), deadlineMs: minutes(90) }, own)).toMatchObject({
      healthyMs: 4_000,
      deadlineMs: 30_000,
      shortened: true,
    });
  });

  it('is not lengthened by the settings', () => {
    const own = settings({ healthyMs: minutes(90), deadlineMs: minutes(180) });
    expect(trialLength(undefined, own)).toMatchObject({
      healthyMs: minutes(10),
      deadlineMs: minutes(30),
      shortened: false,
    });
  });

  it.each([
    { asked: { healthyMs: minutes(60), deadlineMs: 0 }, own: null },
    { asked: undefined, own: { healthyMs: minutes(8), deadlineMs: minutes(1) } },
  ])('always leaves room for the healthy time before its deadline: $asked $own', ({ asked, own }) => {
    const { healthyMs, deadlineMs } = trialLength(asked, settings(own));
    // Healthy time begins with the first answer: a deadline at the very same time could never be met.
    expect(deadlineMs).toBeGreaterThan(healthyMs);
  });
});

describe('the settings of the appliance', () => {
  it('are those of an appliance under systemd where there is no file', () => {
    expect(loadSettings(realFiles, temporaryAppliance())).toMatchObject({
      processControl: { kind: 'systemd' },
      agentUser: null,
      trial: null,
    });
  });

  it('are read from the file of root', () => {
    const layout = temporaryAppliance();
    const processControl = { kind: 'supervisor', socket: '/run/x.sock', isolation: 'users' };
    writeFileSync(layout.settings, JSON.stringify({ processControl, agentUser: { uid: 7, gid: 8 }, stallMs: 3_000 }));
    expect(loadSettings(realFiles, layout)).toMatchObject({
      processControl,
      agentUser: { uid: 7, gid: 8 },
      stallMs: 3_000,
    });
  });

  it.each([
    ['an agent that is root', { processControl: { kind: 'systemd' }, agentUser: { uid: 0, gid: 0 } }],
    ['another process control', { processControl: { kind: 'cron' } }],
    ['a list', []],
  ])('are refused by name: %s', (_what, content) => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, JSON.stringify(content));
    expect(() => loadSettings(realFiles, layout)).toThrow(expect.objectContaining({ code: 'settings-invalid' }));
  });

  it('are refused by name when they are not JSON', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, '{ processControl: systemd }');
    expect(() => loadSettings(realFiles, layout)).toThrow(expect.objectContaining({ code: 'settings-invalid' }));
  });
});
