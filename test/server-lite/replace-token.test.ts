import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const main = resolve('server-lite/main.ts');
const token = (...words: string[]) => execa(process.execPath, [main, 'token', ...words], { reject: false });

async function statusWith(bench: TestServer, headers: Record<string, string>): Promise<number> {
  return (await fetch(`${bench.url}/api/server`, { headers })).status;
}

describe('another operator token', () => {
  it('ends the one before and every session that it opened, at once, while the server runs', async () => {
    await using bench = await TestServer.start();
    const old = { authorization: `Bearer ${bench.token}` };
    const body = new URLSearchParams({ token: bench.token });
    const opened = await fetch(`${bench.url}/login`, { method: 'POST', body, redirect: 'manual' });
    const session = { cookie: opened.headers.get('set-cookie')?.split(';')[0] ?? '' };
    expect([await statusWith(bench, old), await statusWith(bench, session)]).toEqual([200, 200]);
    const { stdout, exitCode } = await token('--data', bench.data);
    const made = /token is (hfo_\S+) \(shown once\)/.exec(stdout)?.[1];
    expect([exitCode, made]).toEqual([0, expect.stringMatching(/^hfo_/)]);
    expect([await statusWith(bench, old), await statusWith(bench, session)]).toEqual([401, 401]);
    expect(await statusWith(bench, { authorization: `Bearer ${made}` })).toBe(200);
    await bench.stop();
    await bench.run();
    expect(await statusWith(bench, { authorization: `Bearer ${made}` })).toBe(200);
  });

  it('ends what was begun with the one before: an upload publishes nothing, and a body that comes late orders nothing', async () => {
    await using bench = await TestServer.start();
    const bundle = readFileSync((await bench.build('1.0.52')).path);
    const incoming = join(bench.data, 'releases', 'incoming');
    const order = Buffer.from(JSON.stringify({ appliance: 'alpha', kind: 'identify' }));
    const begin = (path: string, bytes: Buffer, more: object = {}) => {
      const headers = { authorization: `Bearer ${bench.token}`, 'content-length': bytes.length, ...more };
      return httpRequest(`${bench.url}${path}`, { method: 'POST', headers });
    };
    const upload = begin('/api/releases', bundle);
    const slow = begin('/api/orders', order, { 'content-type': 'application/json', expect: '100-continue' });
    const answers = [upload, slow].map((sent) => once(sent, 'response') as Promise<IncomingMessage[]>);
    slow.flushHeaders();
    // The server has looked at its head by then.
    await once(slow, 'continue');
    upload.write(bundle.subarray(0, 1_000));
    await until('the upload begins', patienceMs, () => (readdirSync(incoming).length > 0 ? true : null));
    const { stdout } = await token('--data', bench.data);
    const made = /token is (hfo_\S+) /.exec(stdout)?.[1];
    slow.end(order);
    upload.end(bundle.subarray(1_000));
    for (const [answer] of await Promise.all(answers)) {
      const parts = await answer?.toArray();
      const { code } = JSON.parse(Buffer.concat(parts ?? []).toString());
      expect([answer?.statusCode, code]).toEqual([401, 'token-wrong']);
    }
    const headers = { authorization: `Bearer ${made}` };
    expect((await bench.api('GET', '/api/releases', undefined, headers)).body).toEqual({ releases: [] });
    expect(readdirSync(incoming)).toEqual([]);
  });

  it('goes into a file for its owner alone, and replaces nothing where that cannot be written', async () => {
    await using bench = await TestServer.start();
    const old = { authorization: `Bearer ${bench.token}` };
    const failed = await token('--data', bench.data, '--token-file', join(bench.directory, 'nowhere', 'token'));
    expect([failed.exitCode, failed.stderr]).toEqual([1, expect.stringMatching(/^token-file-not-written: /)]);
    expect(failed.stderr).toMatch(/Next: .*the previous token is still in use$/);
    expect(await statusWith(bench, old)).toBe(200);
    const file = join(bench.directory, 'token');
    const { stdout } = await token('--data', bench.data, '--token-file', file, '--json');
    expect(JSON.parse(stdout)).toEqual({ tokenFile: file });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const made = readFileSync(file, 'utf8').trim();
    expect([await statusWith(bench, old), await statusWith(bench, { authorization: `Bearer ${made}` })]).toEqual([
      401, 200,
    ]);
    expect((await token('--data', bench.directory)).stderr).toMatch(/^no-data: .*\nNext: /);
  });

  it('is asked of whose data it is, who can look there, and so is a backup', async () => {
    await using bench = await TestServer.start();
    await bench.stop();
    const backup = ['backup', '--data', bench.data, '--out', join(tmpdir(), 'never.tar')];
    for (const words of [['token', '--data', bench.data], backup]) {
      const other = { uid: 61_234, gid: 61_234, reject: false } as const;
      const asked = await execa(process.execPath, [main, ...words, '--json'], other);
      expect([asked.exitCode, JSON.parse(asked.stderr)]).toEqual([
        1,
        { code: 'data-not-accessible', message: expect.any(String), next: expect.stringContaining('as the user') },
      ]);
    }
  });
});
