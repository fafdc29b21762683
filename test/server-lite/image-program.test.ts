import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { isForImage } from '../../server-lite/cli/image-program.ts';

const main = resolve('server-lite/cli/main.ts');
const run = (...args: string[]) => execa(process.execPath, [main, ...args], { reject: false });

describe("the commands that the builder's program carries out", () => {
  it('take its options and keep its exit status, without a server', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hf-cli-'));
    try {
      const key = () => generateKeyPair().publicKey;
      const keys = join(directory, 'public-keys.json');
      await writeFile(keys, JSON.stringify({ answer: key(), snapshot: key(), timestamp: key() }));
      const places = ['--repository', join(directory, 'repository')];
      const made = await run('keys', 'init', ...places, '--server-keys', keys);
      expect([made.exitCode, made.stderr]).toEqual([0, '']);
      const shown = await run('--json', 'keys', 'show', ...places);
      expect(JSON.parse(shown.stdout)).toMatchObject({ root: { version: 1 } });
      const again = await run('keys', 'init', ...places, '--server-keys', keys);
      expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining('(keys-exist)')]);
      const unknown = await run('release', 'revoke', 'app', '1.0.0', ...places, '--server-keys', keys);
      expect([unknown.exitCode, unknown.stderr]).toEqual([1, expect.stringContaining('(release-unknown)')]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it.each(['keys init', 'keys show', 'keys rotate', 'keys sign', 'release build', 'release revoke', 'release verify'])(
    '%s explains itself',
    async (words) => {
      const { stdout, exitCode } = await run(...words.split(' '), '--help');
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining(`Usage: holdfast ${words}`)]);
    },
  );

  it.each([
    ['release build --version 1.0.0', true],
    ['--json keys show', true],
    ['release list --json', false],
    ['release publish app-1.0.0.hfb', false],
    ['fleet --json', false],
  ])('are told from those of the server: %s', (line, expected) => {
    expect(isForImage(line.split(' '))).toBe(expected);
  });
});
