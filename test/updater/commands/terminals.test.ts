import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { layoutOf } from '../../../protocol/layout.ts';
import { realClock } from '../../../updater/effects/clock.ts';
import { hostileIn, hostileText } from '../../support/hostile-text.ts';

const forged = `${hostileText}\nall is well`;

/** An appliance whose status holds what sticks, bundles and servers are called. */
function withStatus() {
  const root = mkdtempSync(join(tmpdir(), 'hf-terminal-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const { run, status, updater } = layoutOf(root);
  for (const path of [run, updater]) mkdirSync(path, { recursive: true });
  const whole = JSON.parse(readFileSync(resolve('test/protocol/v1/status.whole.json'), 'utf8'));
  const told = {
    ...whole,
    at: { boot: realClock.bootId(), monoMs: realClock.monoMs() },
    name: hostileText.slice(0, 20),
    why: forged,
    notices: [forged],
    sticks: [{ path: `/media/${forged}`, version: null, text: forged }],
  };
  writeFileSync(status, JSON.stringify(told));
  return (...words: string[]) =>
    execa(process.execPath, [resolve('updater/main.ts'), '--root', root, ...words], { reject: false });
}

describe("root's terminal", () => {
  it('shows what a stick and a bundle are called, and does nothing that they say', async () => {
    const run = withStatus();
    for (const words of [['status'], ['why'], ['history'], ['sources'], ['status', '--json'], ['why', '--json']]) {
      const { stdout, stderr, exitCode } = await run(...words);
      expect([hostileIn(stdout + stderr), exitCode], words.join(' ')).toEqual([[], 0]);
    }
    const { stdout } = await run('status');
    expect(stdout).toContain('ท่าเรือ \\u001b]0;owned\\u0007');
    expect(stdout.split('\n')).not.toContain('all is well');
    expect(JSON.parse((await run('why', '--json')).stdout).why).toBe(forged);
  });

  it('is told of a file, a command and an option that are not there the same way', async () => {
    const run = withStatus();
    for (const words of [['sources', forged], [hostileText], [`--${hostileText}`], ['install', forged, '--no-wait']]) {
      const { stdout, stderr, exitCode } = await run(...words);
      expect([hostileIn(stdout + stderr), exitCode === 0], words[0]).toEqual([[], false]);
    }
  });

  it('hears launch and page the same way', async () => {
    const launch = await execa(process.execPath, [
      ...[resolve('updater/launch/main.ts'), 'ended', 'app', '--root', join(tmpdir(), 'hf-nowhere')],
      ...['--code', hostileText, '--status', '1'],
    ]);
    expect([hostileIn(launch.stdout), launch.stdout]).toEqual([[], expect.stringContaining('ท่าเรือ')]);
    const page = await execa(process.execPath, [resolve('updater/page/main.ts'), `--${hostileText}`], {
      reject: false,
    });
    expect([hostileIn(page.stderr), page.exitCode === 0]).toEqual([[], false]);
  });
});
