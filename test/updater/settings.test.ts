import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../updater/effects/files.ts';
import { loadSettings } from '../../updater/settings.ts';
import { temporaryAppliance } from './support/temporary-appliance.ts';

describe('the settings of the appliance', () => {
  it('are those of an appliance under systemd where there is no file', () => {
    expect(loadSettings(realFiles, temporaryAppliance())).toMatchObject({
      processControl: { kind: 'systemd' },
      agentUser: null,
      trial: null,
      deferMaxMs: 24 * 60 * 60_000,
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
