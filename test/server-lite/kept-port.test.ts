import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { serve, serverMain, temporary } from './server-process.ts';

describe('the port of a server', () => {
  it('stays the same, so that claim codes hold after a restart; --port names another one, which is kept too', async () => {
    await using directory = await temporary();
    const portOf = async (more: readonly string[] = []): Promise<number> => {
      const { child, line } = await serve(directory.path, more);
      child.kill('SIGTERM');
      await child;
      return Number(new URL(line.url).port);
    };
    const first = await portOf();
    expect(await portOf()).toBe(first);
    const any = await portOf(['--port', '0']);
    expect(await portOf()).toBe(first);
    expect(await portOf(['--port', String(any)])).toBe(any);
    expect(await portOf()).toBe(any);
    const { child, line } = await serve(join(directory.path, 'another'));
    const next = await serve(join(directory.path, 'third'));
    expect(new URL(next.line.url).port).not.toBe(new URL(line.url).port);
    for (const one of [child, next.child]) {
      one.kill('SIGTERM');
      await one;
    }
    await using taken = createServer();
    await once(taken.listen(any, '127.0.0.1'), 'listening');
    const failed = await execa(process.execPath, [serverMain, 'serve', '--data', directory.path], { reject: false });
    expect([failed.exitCode, failed.stdout]).toEqual([1, '']);
    expect(failed.stderr).toMatch(/^address-in-use: .*\nNext: stop that program, or take another port with --port/m);
  });
});
