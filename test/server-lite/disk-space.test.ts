import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { diskSpaceOf, type FreeSpace, isDiskFull, lowSpace } from '../../server-lite/disk-space.ts';
import { checkoutRoot } from '../house/checkout.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const mib = 1024 * 1024;
const plenty: FreeSpace = { bytes: 10_000 * mib, names: 1_000_000 };

/** `holdfast …` against this server. */
async function holdfast(bench: TestServer, ...args: string[]): Promise<string> {
  await writeFile(join(bench.directory, 'token'), bench.token, { mode: 0o600 });
  const options = ['--server', bench.url, '--token-file', join(bench.directory, 'token')];
  const main = join(checkoutRoot, 'server-lite', 'cli', 'main.ts');
  return (await execa(process.execPath, [main, ...args, ...options])).stdout.replace(/\s+/g, ' ');
}

describe('a disk that is nearly full', () => {
  it('is told of in the log, the API, the dashboard and on the command line, until it has room again', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    expect((await bench.server()).notices).toEqual([]);
    bench.free = { bytes: 100 * mib, names: 1_000_000 };
    bench.clock.aheadMs += 10_000;
    const sentence =
      /he disk of .*data is nearly full: room for 100 MiB is left, and 256 MiB and 2000 files should be free/;
    expect((await bench.server()).notices).toEqual([expect.stringMatching(sentence)]);
    expect(await (await fetch(`${bench.url}/`)).text()).toMatch(sentence);
    expect(await holdfast(bench, 'fleet')).toMatch(sentence);
    expect(await holdfast(bench, 'server')).toMatch(sentence);
    expect(bench.log.join('')).toMatch(sentence);
    bench.free = plenty;
    bench.clock.aheadMs += 10_000;
    expect((await bench.server()).notices).toEqual([]);
    expect(bench.log.join('')).toContain('data has room again');
  });

  it('is in the log although nobody asks', async () => {
    await using bench = await TestServer.start([], { openToThisHost: true });
    bench.free = { bytes: 0, names: null };
    bench.clock.aheadMs += 10_000;
    await until('the log says it', patienceMs, async () => bench.log.join('').includes('data is full') || null);
  });
});

describe('what is free', () => {
  const troubleOf = (free: FreeSpace) =>
    diskSpaceOf({ data: '/data', freeAt: () => free, monoMs: () => 0, log: { warn: () => undefined } }).trouble();

  it.each<[string, FreeSpace, string | undefined]>([
    ['plenty', plenty, undefined],
    ['as much as there should be', { ...lowSpace }, undefined],
    ['a byte less', { bytes: lowSpace.bytes - 1, names: null }, 'low'],
    ['a name less', { bytes: plenty.bytes, names: lowSpace.names - 1 }, 'low'],
    ['no byte', { bytes: 0, names: 1_000_000 }, 'full'],
    ['no name', { bytes: plenty.bytes, names: 0 }, 'full'],
    ['a file system without a bound of names', { bytes: plenty.bytes, names: null }, undefined],
  ])('%s', (_, free, kind) => {
    expect(troubleOf(free)?.kind).toBe(kind);
  });

  it('that cannot be read is not taken for enough, and is not asked for at each look', () => {
    let asked = 0;
    let nowMs = 0;
    const said: string[] = [];
    const space = diskSpaceOf({
      data: '/data',
      freeAt: () => {
        asked += 1;
        throw new Error('EIO');
      },
      monoMs: () => nowMs,
      log: { warn: (text) => void said.push(text) },
    });
    for (let i = 0; i < 100; i += 1) expect(space.trouble()?.kind).toBe('unknown');
    nowMs = 60_000;
    space.trouble();
    expect([asked, said.length]).toEqual([2, 1]);
  });
});

describe('an error', () => {
  const withCode = (code: string, cause?: Error) => Object.assign(new Error(code, { cause }), { code });
  const none: FreeSpace = { bytes: 0, names: 0 };

  it.each<[string, Error, FreeSpace, boolean]>([
    ['ENOSPC', withCode('ENOSPC'), plenty, true],
    ['EDQUOT', withCode('EDQUOT'), plenty, true],
    ['SQLITE_FULL', withCode('SQLITE_FULL'), plenty, true],
    ['one that was caused by it', withCode('OTHER', withCode('ENOSPC')), plenty, true],
    ['SQLITE_IOERR_WRITE with room', withCode('SQLITE_IOERR_WRITE'), plenty, false],
    ['SQLITE_IOERR_WRITE without', withCode('SQLITE_IOERR_WRITE'), none, true],
    ['SQLITE_CANTOPEN without', withCode('SQLITE_CANTOPEN'), none, true],
    ['EIO', withCode('EIO'), none, false],
  ])('%s', (_, error, free, isFull) => {
    expect(isDiskFull(error, () => free)).toBe(isFull);
  });
});
