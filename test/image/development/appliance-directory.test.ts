import { once } from 'node:events';
import { cp, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { applianceIn } from '../../../image/development/appliance-directory.ts';
import { runAppliance } from '../../../image/development/run-appliance.ts';

const main = resolve(import.meta.dirname, '..', '..', '..', 'image', 'development', 'main.ts');

async function withAppliance() {
  const above = await mkdtemp(join(tmpdir(), 'hf-development-'));
  const original = join(above, 'pier-1');
  const made = await applianceIn(original);
  return {
    original,
    made,
    other: join(above, 'pier-2'),
    [Symbol.asyncDispose]: () => rm(above, { recursive: true, force: true }),
  };
}

/** `npm run appliance`, where it must not get as far as asking for a claim. */
async function start(dir: string) {
  const { exitCode, stderr, stdout } = await execa(process.execPath, [main, '--name', 'pier-2', '--dir', dir], {
    stdin: 'ignore',
    reject: false,
  });
  return { exitCode, stderr, stdout };
}

describe('a wrong call of npm run appliance', () => {
  it.each([[['--site', 'desk']], [['--name', 'pier-2', '--servre', 'x']]])(
    '%j is wrong usage, and says where to look',
    async (words) => {
      const { exitCode, stderr } = await execa(process.execPath, [main, ...words], { stdin: 'ignore', reject: false });
      expect([exitCode, stderr]).toEqual([2, expect.stringMatching(/^error: .*\n(.*\n)?npm run appliance -- --help /)]);
    },
  );
});

describe('the directory of a development appliance', () => {
  it('that is a copy is not started: its paths and its keys are those of the original', async () => {
    await using made = await withAppliance();
    const { original, other } = made;
    await cp(original, other, { recursive: true });
    const before = await readdir(original);
    const { exitCode, stderr, stdout } = await start(other);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`${other} is a copy of ${original}`);
    expect(stderr).toContain('(directory-copied)');
    expect(stderr).toContain(`what to do: start the original with --dir ${original}`);
    expect(await readdir(original)).toEqual(before);
  });

  it('that was moved is not started, and nothing is made where it was', async () => {
    await using made = await withAppliance();
    const { original, other } = made;
    await rename(original, other);
    const { exitCode, stderr } = await start(other);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${other} was moved here from ${original}`);
    expect(stderr).toContain(`what to do: move it back to ${original}`);
    await expect(readdir(original)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is the same one by another name of it', async () => {
    await using made = await withAppliance();
    const { original, other } = made;
    await symlink(original, other);
    expect((await applianceIn(other)).config).toEqual(made.made.config);
    expect((await applianceIn(original)).config).toEqual(made.made.config);
  });
});

describe('the page of a development appliance', () => {
  it('whose port another program has is not said to be there', async () => {
    await using made = await withAppliance();
    const port = made.made.config.page?.port ?? 0;
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    try {
      const refused = runAppliance(made.made.config);
      await expect(refused).rejects.toMatchObject({ code: 'port-taken', message: expect.stringContaining(`${port}`) });
    } finally {
      other.close();
    }
  });
});
