import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { serve, serverMain, temporary } from './server-process.ts';

/** Mounting takes root. */
describe('a data directory', () => {
  it('has one server, by whatever name it is given, and is free when that one is killed', async () => {
    await using directory = await temporary();
    const data = join(directory.path, 'data');
    const { child } = await serve(data, ['--port', '0']);
    const [linked, bound] = [join(directory.path, 'linked'), join(directory.path, 'bound')];
    await symlink(data, linked);
    await mkdir(bound);
    await execa('mount', ['--bind', data, bound]);
    try {
      const others = [data, linked, bound].map((path) =>
        execa(process.execPath, [serverMain, 'serve', '--data', path, '--port', '0'], { reject: false }),
      );
      for (const { exitCode, stdout, stderr } of await Promise.all(others)) {
        expect([exitCode, stdout]).toEqual([1, '']);
        expect(stderr).toMatch(/^data-directory-in-use: .*\nNext: stop it first/m);
      }
    } finally {
      await execa('umount', [bound]);
    }
    const nobody = { uid: 65_534, gid: 65_534, reject: false } as const;
    const denied = await execa(process.execPath, [serverMain, 'serve', '--data', data, '--port', '0'], nobody);
    expect([denied.exitCode, denied.stdout]).toEqual([1, '']);
    expect(denied.stderr).toMatch(/^data-not-accessible: .*\nNext: run it as the user/m);
    child.kill('SIGKILL');
    await child;
    const next = await serve(linked, ['--port', '0']);
    next.child.kill('SIGTERM');
    expect((await next.child).exitCode).toBe(0);
  });
});
