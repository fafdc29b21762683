import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemFiles } from '../../agent/effects/files.ts';
import { readSettings } from '../../agent/settings.ts';
import { checkoutRoot } from '../house/checkout.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-settings-'));
  path = join(directory, 'agent.json');
});
afterEach(() => rmSync(directory, { recursive: true }));
const read = () => readSettings(systemFiles, path);
const standards = { intervalMs: 1_000, site_name: '', maker: {}, kept: {} };

describe('agent.json as editors and people leave it', () => {
  it.each<[string, string]>([
    ['a byte order mark', '\uFEFF{"intervalMs": 500}'],
    ['CRLF', '{\r\n  "intervalMs": 500\r\n}\r\n'],
    ['tabs', '{\n\t"intervalMs":\t500\n}'],
  ])('with %s is read', async (_, text) => {
    writeFileSync(path, text);
    expect(await read()).toMatchObject({ intervalMs: 500, problems: [] });
  });

  it.each<[string, () => void, RegExp]>([
    ['with a trailing comma', () => writeFileSync(path, '{"intervalMs": 500,}'), /JSON/],
    ['that is empty', () => writeFileSync(path, ''), /JSON/],
    ['that is a list', () => writeFileSync(path, '[1]'), /must be an object/],
    ['of 10 MB', () => writeFileSync(path, ' '.repeat(10_000_000)), /10000000 bytes, 65536 are allowed/],
    ['that is a directory', () => mkdirSync(path), /is not a file/],
    ['that is a pipe', () => execFileSync('mkfifo', [path]), /is not a file/],
    ['that leads to what has no end', () => symlinkSync('/dev/zero', path), /is not a file/],
  ])('%s leaves all standards in force, and says so', async (_, write, words) => {
    write();
    expect(await read()).toMatchObject({ ...standards, problems: [expect.stringMatching(words)] });
  });

  it('that is not there has its standards, and nothing to say', async () => {
    expect(await read()).toMatchObject({ ...standards, problems: [] });
  });

  it('says each field that does not fit, and takes the others', async () => {
    writeFileSync(path, '{"intervalMs": "often", "site_name": "ท่าเรือ", "maker": 7, "later": {"a": 1}}');
    expect(await read()).toMatchObject({
      ...{ intervalMs: 1_000, site_name: 'ท่าเรือ', maker: {}, kept: { later: { a: 1 } } },
      problems: ['intervalMs: it must be a number, and is a text; 1000 holds', expect.stringMatching(/^maker: /)],
    });
  });
});

describe('agent.json of each version that was ever in the field', () => {
  const states = join(checkoutRoot, 'test', 'protocol', 'v1', 'states');
  const frozen = readdirSync(states).filter((name) => readdirSync(join(states, name)).includes('agent.json'));
  it('there are some', () => expect(frozen.length).toBeGreaterThanOrEqual(4));
  it.each(frozen)('%s is read without a word', async (name) => {
    const { problems } = await readSettings(systemFiles, join(states, name, 'agent.json'));
    expect(problems).toEqual([]);
  });
});
