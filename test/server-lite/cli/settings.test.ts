import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { checkoutRoot } from '../../house/checkout.ts';

const holdfast = (...args: readonly string[]) =>
  execa(process.execPath, [join(checkoutRoot, 'bin', 'holdfast.js'), ...args], { reject: false });

describe('holdfast settings explain', () => {
  it('prints the table that docs/settings.md has', async () => {
    const { stdout } = await holdfast('settings', 'explain', '--markdown');
    expect(stdout.split('\n').length).toBeGreaterThan(4);
    expect(readFileSync(join(checkoutRoot, 'docs', 'settings.md'), 'utf8')).toContain(`\n\n${stdout}\n\n`);
  });

  it('explains one field, and names those that there are', async () => {
    expect((await holdfast('settings', 'explain', 'intervalMs')).stdout).toMatch(
      /^intervalMs: a whole number from 20 to 60000; standard 1000\n {4}Milliseconds/,
    );
    const { exitCode, stderr } = await holdfast('settings', 'explain', 'intervallMs');
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/setting-unknown: .*\n.*intervalMs, site_name/)]);
  });

  it('is a list for programs', async () => {
    const { stdout } = await holdfast('settings', 'explain', 'site_name', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ path: 'site_name', standard: '""' });
  });
});
