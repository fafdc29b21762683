import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { changeSources, openRepository, requireRepository } from '../../image/repository.ts';
import { readServerKeys } from '../../image/repository-keys.ts';
import { requireSigningTime } from '../../image/signing-time.ts';
import { noSources } from '../../protocol/sources.ts';
import { newRepository } from '../support/new-repository.ts';
import { TestServer } from '../support/test-server.ts';
import { checkout, nodeBinary } from './fixture-tree.ts';

const main = join(checkout, 'image', 'main.ts');
const begun = new Date('2027-05-01T12:00:00Z');

/** A repository of a real server's, whose metadata was signed at one time and, its targets only, at a later one. */
async function repositoryOf(bench: TestServer, signedAt: Date) {
  const dir = await mkdtemp(join(tmpdir(), 'hf-signing-time-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const serverKeys = join(bench.data, 'public-keys.json');
  const repository = { dir, serverKeys: await readServerKeys(serverKeys), now: () => begun };
  await newRepository(repository);
  const later = await openRepository({ ...repository, now: () => signedAt });
  await changeSources(later, () => Promise.resolve({ ...noSources, seq: 1 }));
  const { trusted } = await requireRepository(repository);
  return { dir, trusted, words: ['--repository', dir, '--server-keys', serverKeys] };
}

describe('the time of what an operator signs', () => {
  it.each([
    ['2027-06-01T12:00:00Z', null],
    ['2027-06-01T11:30:00Z', null],
    ['2027-06-01T10:59:00Z', 'clock-behind'],
    ['1970-01-01T00:00:10Z', 'clock-behind'],
    ['2030-05-31T12:00:00Z', null],
    ['2030-06-02T12:00:00Z', 'clock-ahead'],
  ])('is taken from a clock that says %s: refused with %s', async (text, code) => {
    await using bench = await TestServer.start();
    const { trusted } = await repositoryOf(bench, new Date('2027-06-01T12:00:00Z'));
    const look = () => requireSigningTime(trusted, new Date(text));
    if (code === null) expect(look).not.toThrow();
    else expect(look).toThrow(expect.objectContaining({ code }));
  });

  it('that is far from what was signed before signs nothing, not even in a dry run, until a person says so', async () => {
    await using bench = await TestServer.start();
    const aYearAhead = new Date(Date.now() + 365 * 24 * 3_600_000);
    const { dir, words } = await repositoryOf(bench, aYearAhead);
    const targets = () => readFileSync(join(dir, 'metadata', 'targets.json'), 'utf8');
    const before = targets();
    const file = join(dir, 'given.json');
    await writeFile(file, '{}');
    for (const command of [
      ['sources', 'set', file],
      ['sources', 'set', file, '--dry-run'],
      ['revoke', 'app', '1.0.0'],
      ['keys', 'rotate', 'root', '--dry-run'],
    ]) {
      const { exitCode, stderr } = await execa(nodeBinary, [main, ...command, ...words], { reject: false });
      expect([exitCode, stderr], command.join(' ')).toEqual([1, expect.stringContaining('(clock-behind)')]);
      expect(stderr).toContain('--clock-is-right');
    }
    expect(targets()).toBe(before);
    const confirmed = ['sources', 'set', file, '--clock-is-right', ...words];
    expect((await execa(nodeBinary, [main, ...confirmed], { reject: false })).exitCode).toBe(0);
    expect(targets()).not.toBe(before);
  });
});
