import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { emitSystem } from '../../image/system/emit-system.ts';
import { makeReleaseFixture } from '../support/bundle-fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'hf-emit-system-'));
const fixture = await makeReleaseFixture();
afterAll(() => {
  fixture[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});
const built = async (component: 'app' | 'updater', version: string) =>
  (await fixture.build({ component, version })).path;
const osDir = join(directory, 'os');
mkdirSync(join(osDir, 'updater'), { recursive: true });
writeFileSync(join(osDir, 'node'), 'node');
writeFileSync(join(osDir, 'updater', 'main.js'), 'updater');
const renamed = join(directory, 'agent.hfb');
copyFileSync(await built('app', '1.0.52'), renamed);
const factory = [renamed, await built('updater', '1.0.0')];
const other = await built('app', '1.0.53');

describe('the tree for a plain machine', () => {
  it('holds programs, factory bundles, users, a command line, and units that begin at boot', async () => {
    const outDir = join(directory, 'tree');
    const { units } = await emitSystem({ osDir, factory, outDir });
    const home = join(outDir, 'usr', 'lib', 'holdfast');
    expect(readdirSync(join(home, 'factory')).sort()).toEqual(['app-1.0.52.hfb', 'updater-1.0.0.hfb']);
    expect(readFileSync(join(home, 'updater', 'main.js'), 'utf8')).toBe('updater');
    expect(existsSync(join(home, 'run.conf'))).toBe(true);
    expect(readFileSync(join(outDir, 'usr', 'lib', 'sysusers.d', 'holdfast.conf'), 'utf8')).toContain('u hf-agent');
    expect(statSync(join(outDir, 'usr', 'bin', 'holdfast-updater')).mode & 0o777).toBe(0o755);
    const unitDir = join(outDir, 'usr', 'lib', 'systemd', 'system');
    expect(
      readdirSync(unitDir)
        .filter((name) => !name.endsWith('.wants'))
        .sort(),
    ).toEqual(units);
    const atBoot = readdirSync(join(unitDir, 'multi-user.target.wants'));
    expect(atBoot.sort()).toEqual([
      'holdfast-agent.service',
      'holdfast-hint.path',
      'holdfast-overdue.service',
      'holdfast-overdue.timer',
      'holdfast-page.socket',
      'holdfast-requests.path',
      'holdfast-updater.service',
      'holdfast-updater.timer',
    ]);
    for (const name of atBoot) {
      expect(readlinkSync(join(unitDir, 'multi-user.target.wants', name))).toBe(`../${name}`);
    }
  });

  it.each([
    ['no bundle of the updater', [factory[0] ?? '']],
    ['two bundles of the agent', [...factory, other]],
    ['none at all', []],
  ])('is refused with %s', async (_what, given) => {
    const outDir = join(directory, 'refused');
    await expect(emitSystem({ osDir, factory: given, outDir })).rejects.toMatchObject({ code: 'payload-invalid' });
    expect(existsSync(outDir)).toBe(false);
  });

  it('is refused with a bundle that is damaged: there would be nothing to go back to', async () => {
    const damaged = join(directory, 'damaged.hfb');
    copyFileSync(other, damaged);
    truncateSync(damaged, 10_000);
    const given = [damaged, factory[1] ?? ''];
    const outDir = join(directory, 'refused');
    await expect(emitSystem({ osDir, factory: given, outDir })).rejects.toMatchObject({ code: 'bundle-damaged' });
  });
});
