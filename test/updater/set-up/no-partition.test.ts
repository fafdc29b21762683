import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** S47: the data partition did not come. Nothing hangs, nothing begins anew on the disk below, and each program says so. */
const programs = join(import.meta.dirname, '../../../updater');
const patienceMs = 10_000;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-no-partition-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const start = (program: string, ...words: string[]) =>
  execa(process.execPath, [join(programs, program), ...words, '--root', join(root, 'holdfast')], {
    reject: false,
    timeout: patienceMs,
  });

const machines: readonly (readonly [what: string, prepare: () => void])[] = [
  ['an empty mount point', () => mkdirSync(join(root, 'holdfast'))],
  ['no mount point', () => undefined],
];

describe.each(machines)('S47: on a machine with %s', (_what, prepare) => {
  it('launch starts nothing, and says why', async () => {
    prepare();
    const { exitCode, stderr } = await start('launch/main.ts', 'count', 'app');
    expect(stderr).toBe('launch: starting nothing for app: slot factory of app is unsealed or incomplete');
    expect(exitCode).toBe(75);
  });

  it('the updater ends with what to do, and makes nothing', async () => {
    prepare();
    const before = readdirSync(root, { recursive: true });
    const { exitCode, stderr } = await start('main.ts', 'run');
    expect(stderr).toMatch(
      /^no-appliance: there is no appliance in .*\n.*--root DIR names its data; .* was looked at\. If this machine was set up before, its data partition is not mounted/,
    );
    expect(exitCode).toBe(1);
    expect(readdirSync(root, { recursive: true })).toEqual(before);
  });

  it.each(['status', 'why', 'sources', 'history', 'check', 'plan', 'rollback', 'retry'])(
    '%s says which directory was looked at, and how another one is named',
    async (command) => {
      prepare();
      const { exitCode, stderr } = await start('main.ts', command);
      expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/--root DIR names its data; \S+ was looked at\./)]);
      expect(stderr).toContain(join(root, 'holdfast'));
      expect(stderr).not.toContain('If it is /');
    },
  );

  it('the status is unknown, and never ok', async () => {
    prepare();
    const { exitCode, stderr, stdout } = await start('main.ts', 'status');
    expect(stderr).toContain('status-unknown');
    expect([exitCode, stdout]).toEqual([1, '']);
  });
});
