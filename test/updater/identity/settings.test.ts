import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { realFiles } from '../../../updater/effects/files.ts';
import { loadSettings, settingsInForce } from '../../../updater/identity/settings.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

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

describe('the settings of a run', () => {
  const own = { processControl: { kind: 'supervisor', socket: '/run/x.sock', isolation: 'none' }, stallMs: 3_000 };

  it('are those of the file, without a word, and a copy of it is kept', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, JSON.stringify(own));
    expect(settingsInForce(realFiles, layout)).toMatchObject({ settings: own, notice: null });
    expect(readFileSync(`${layout.settings}.good`, 'utf8')).toBe(JSON.stringify(own));
  });

  it.each([
    ['damaged', (path: string) => writeFileSync(path, '{"x')],
    ['not their shape', (path: string) => writeFileSync(path, '[]')],
    ['gone', (path: string) => rmSync(path)],
  ])('are those that were read last where the file is %s, and it is put back', (_what, damage) => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, JSON.stringify(own));
    settingsInForce(realFiles, layout);
    damage(layout.settings);
    const { settings, notice } = settingsInForce(realFiles, layout);
    expect(settings).toMatchObject(own);
    expect(notice).toContain('the settings that were read last are in force');
    expect(settingsInForce(realFiles, layout)).toMatchObject({ settings: own, notice: null });
  });

  it('are whole again as soon as a person writes what the notice says', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, '{"x');
    const { settings, notice } = settingsInForce(realFiles, layout);
    expect((notice ?? '').length).toBeLessThan(600);
    writeFileSync(layout.settings, (notice ?? '').split('with at least: ')[1] ?? '');
    expect(settingsInForce(realFiles, layout)).toEqual({ settings, notice: null });
  });

  it('are what the machine tells where there is no copy either, and each run says so', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, '{"x');
    for (let times = 0; times < 2; times += 1) {
      const { settings, notice } = settingsInForce(realFiles, layout);
      expect(settings).toMatchObject({ processControl: { kind: 'systemd' }, trial: null });
      expect(notice).toContain('Write the file again, with at least: {');
    }
    mkdirSync(join(layout.run, 'control'), { recursive: true });
    const socket = join(layout.run, 'control', 'supervisor.sock');
    writeFileSync(socket, '');
    expect(settingsInForce(realFiles, layout).settings.processControl).toMatchObject({ kind: 'supervisor', socket });
  });

  it('are the standards where setup has never written any', () => {
    expect(settingsInForce(realFiles, temporaryAppliance())).toMatchObject({
      settings: { processControl: { kind: 'systemd' } },
      notice: null,
    });
  });
});
