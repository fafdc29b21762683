import { mkdtempSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { judge, type Observed, ownChecks, worst } from '../../agent/checks.ts';
import { systemFiles } from '../../agent/effects/files.ts';

const nowMs = 1_000_000;
const well: Observed = {
  duty: { outcome: 'ok', monoMs: nowMs },
  measuredMonoMs: nowMs,
  stores: { state: 'ok', outbox: 'ok' },
  waiting: 0,
  space: { freeBytes: 10 ** 9, volatile: false },
  settingsProblems: 0,
  duties: { open: 0 },
  intervalMs: 1_000,
};

it('the names of the checks are those that a maker may not take', () => {
  expect(new Set(Object.keys(judge(well, nowMs)))).toEqual(new Set(ownChecks));
});

describe('a state that a power cut takes away (S7)', () => {
  it('is not called healthy, however well it works until then', () => {
    expect(worst(judge(well, nowMs))).toBe('ok');
    const onTmpfs = judge({ ...well, space: { freeBytes: 10 ** 9, volatile: true } }, nowMs);
    expect(onTmpfs.state).toBe('warn');
    expect(worst(onTmpfs)).not.toBe('ok');
  });

  it('is known by its file system', async () => {
    const directory = mkdtempSync('/dev/shm/holdfast-');
    try {
      expect(await systemFiles.space(directory)).toMatchObject({ volatile: true });
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(await systemFiles.space(import.meta.dirname)).toMatchObject({ volatile: false });
  });

  it('of which nothing is known is not ok either', () => {
    expect(judge({ ...well, space: null }, nowMs).disk).toBe('unknown');
  });
});
