import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { emitSystem } from '../../image/system/emit-system.ts';

const directory = mkdtempSync(join(tmpdir(), 'hf-emit-system-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string): string => {
  const path = join(directory, name);
  writeFileSync(path, name);
  return path;
};
const osDir = join(directory, 'os');
mkdirSync(join(osDir, 'updater'), { recursive: true });
writeFileSync(join(osDir, 'node'), 'node');
writeFileSync(join(osDir, 'updater', 'main.js'), 'updater');
const factory = [file('app-1.0.52.hfb'), file('updater-1.0.0.hfb')];

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
    ['two bundles of the agent', [...factory, file('app-1.0.53.hfb')]],
    ['none at all', []],
  ])('is refused with %s', async (_what, given) => {
    const outDir = join(directory, 'refused');
    await expect(emitSystem({ osDir, factory: given, outDir })).rejects.toMatchObject({ code: 'payload-invalid' });
    expect(existsSync(outDir)).toBe(false);
  });
});
