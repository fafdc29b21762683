import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findConnection } from '../../server-lite/cli/connection.ts';
import { pathOfProfile, profileDirectory, writeProfile } from '../../server-lite/cli/profile.ts';
import { openClaimListShape } from '../../server-lite/operator/shapes.ts';
import { TestServer } from '../support/test-server.ts';
import { patienceMs, until } from '../support/world/wait.ts';

const cli = resolve('server-lite/cli/main.ts');

/** A person with a home of one's own, and `holdfast` as typed in some directory of theirs. */
function person() {
  const home = mkdtempSync(join(tmpdir(), 'hf-person-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const cwd = join(home, 'downloaded');
  mkdirSync(cwd);
  const file = (name: string, text: string, mode = 0o600) => {
    const path = join(home, name);
    mkdirSync(resolve(path, '..'), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const env = { HOME: home, XDG_CONFIG_HOME: '', HOLDFAST_CONFIG: '', HOLDFAST_SERVER: '', HOLDFAST_TOKEN_FILE: '' };
  const run = async (words: readonly string[], more: Record<string, string> = {}, input = '') => {
    const options = { reject: false, cwd, env: { ...env, ...more }, input } as const;
    const { exitCode, stdout, stderr } = await execa(process.execPath, [cli, ...words], options);
    return { exitCode, stdout, stderr };
  };
  return { home, cwd, directory: join(home, '.config', 'holdfast'), file, env, run };
}

/** Somebody else's server: what it is sent. */
async function listener() {
  const heard: (string | undefined)[] = [];
  const server = createServer((request, answer) => {
    heard.push(request.headers.authorization);
    answer.end('{}');
  });
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, heard };
}

describe("the operator's connection", () => {
  it('is not taken from the directory that one stands in', async () => {
    const { file, run } = person();
    const other = await listener();
    const token = file('token', 'hfo_secret');
    file('downloaded/.holdfast/cli.json', JSON.stringify({ url: other.url, tokenFile: token }));
    const { exitCode, stderr } = await run(['fleet']);
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^not-configured: .*\nNext: .*holdfast connect URL/)]);
    expect(other.heard).toEqual([]);
  });

  it('is stored for its owner alone once the server took the token, and found from anywhere', async () => {
    await using bench = await TestServer.start();
    const { directory, run, file } = person();
    const wrong = await run(['connect', bench.url, '--token-file', file('wrong', 'hfo_wrong')]);
    expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining('token-wrong')]);
    expect(existsSync(directory)).toBe(false);
    const done = await run(['connect', `${bench.url}/`, '--token-file', '-'], {}, `${bench.token}\n`);
    expect([done.exitCode, done.stdout]).toEqual([0, expect.stringContaining(join(directory, 'cli.json'))]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'cli.json')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(join(directory, 'cli.json'), 'utf8'))).toEqual({
      url: bench.url,
      token: bench.token,
    });
    expect(await run(['fleet'])).toMatchObject({ exitCode: 0, stderr: '' });
    const elsewhere = { XDG_CONFIG_HOME: join(directory, 'xdg') };
    expect((await run(['fleet'], elsewhere)).stderr).toContain('not-configured');
    await run(['connect', bench.url, '--token-file', '-', '--profile', 'second'], elsewhere, bench.token);
    expect(await run(['fleet', '--profile', 'second'], elsewhere)).toMatchObject({ exitCode: 0 });
    expect(await run(['fleet'], { ...elsewhere, HOLDFAST_PROFILE: 'second' })).toMatchObject({ exitCode: 0 });
  });

  it('asks for the token without showing it', async () => {
    await using bench = await TestServer.start();
    const { cwd, directory, env } = person();
    const typed = execa('script', ['-qec', `${process.execPath} ${cli} connect ${bench.url}`, '/dev/null'], {
      cwd,
      env,
    });
    let screen = '';
    typed.stdout.on('data', (part: Buffer) => {
      screen += part.toString();
    });
    await until('the question is there', patienceMs, () => (screen.includes('(not shown)') ? true : null));
    typed.stdin.write(`${bench.token}\r`);
    await typed;
    expect(screen).toContain('it is stored in');
    expect(screen).not.toContain(bench.token);
    expect(readFileSync(join(directory, 'cli.json'), 'utf8')).toContain(bench.token);
    const { run } = person();
    expect((await run(['connect', bench.url])).stderr).toMatch(/^token-missing: .*\nNext: .*--token-file/);
  });

  it.each([
    ['a connection that others may read', 0o644, 0o700, 'config-open-to-others'],
    ['a directory that others may write in', 0o600, 0o777, 'config-open-to-others'],
  ])('is not %s', async (_, fileMode, directoryMode, code) => {
    const { directory, run } = person();
    const other = await listener();
    const path = writeProfile(pathOfProfile(directory, 'cli'), {
      url: other.url,
      token: 'hfo_secret',
      allowHttp: false,
    });
    chmodSync(path, fileMode);
    chmodSync(directory, directoryMode);
    const { exitCode, stderr } = await run(['fleet']);
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(new RegExp(`^${code}: .*\nNext: chmod`))]);
    expect(other.heard).toEqual([]);
  });

  it('writes a claim code to a new file for its owner alone', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.0');
    const { cwd, run, file } = person();
    const words = ['--server', bench.url, '--token-file', file('token', bench.token)];
    const create = ['claim', 'create', '--name', 'alpha', '--site', 'Hall 3', '--out', 'code', ...words];
    const made = await run(create);
    expect([made.exitCode, made.stdout]).toEqual([0, 'The claim code of alpha is in code.']);
    expect(readFileSync(join(cwd, 'code'), 'utf8')).toMatch(/^hfc\d\./);
    expect(statSync(join(cwd, 'code')).mode & 0o777).toBe(0o600);
    const open = async () => openClaimListShape.parse((await bench.api('GET', '/api/claims')).body).claims;
    const before = (await open()).map(({ createdAtMs }) => createdAtMs);
    expect((await run(create)).stderr).toMatch(
      /^file-not-written: nothing was written: code is there already\nNext: name another one/,
    );
    // The code that is in that file still counts.
    expect([before.length, (await open()).map(({ createdAtMs }) => createdAtMs)]).toEqual([1, before]);
    const refused = await run([...create.map((word) => (word === 'code' ? 'other' : word)), '--again']);
    expect([refused.exitCode, existsSync(join(cwd, 'other'))]).toEqual([1, false]);
  });

  it("is not somebody else's file", async () => {
    const { directory, run } = person();
    const other = await listener();
    const path = writeProfile(pathOfProfile(directory, 'cli'), {
      url: other.url,
      token: 'hfo_secret',
      allowHttp: false,
    });
    chownSync(path, 65_534, 65_534);
    expect((await run(['fleet'])).stderr).toMatch(/^config-not-yours: .*belongs to user 65534/);
    expect(other.heard).toEqual([]);
  });

  it('sends a token to its own address only', async () => {
    const { directory, run, file } = person();
    const [own, other] = [await listener(), await listener()];
    writeProfile(pathOfProfile(directory, 'cli'), { url: own.url, token: 'hfo_secret', allowHttp: false });
    const { exitCode, stderr } = await run(['fleet', '--server', other.url]);
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^token-elsewhere: .*\nNext: give --token-file/)]);
    expect((await run(['fleet'], { HOLDFAST_SERVER: other.url })).stderr).toContain('belong together');
    expect((await run(['fleet', '--token-file', file('token', 'hfo_other')])).stderr).toContain('give --server');
    expect([own.heard, other.heard]).toEqual([[], []]);
    await run(['fleet', '--server', `${own.url}/`]);
    await run(['fleet'], { HOLDFAST_SERVER: other.url, HOLDFAST_TOKEN_FILE: file('token', 'hfo_other') });
    expect([own.heard, other.heard]).toEqual([['Bearer hfo_secret'], ['Bearer hfo_other']]);
  });

  it('takes no token file that others may read, and none that holds no token', async () => {
    const { run, file } = person();
    const other = await listener();
    const words = (path: string) => ['fleet', '--server', other.url, '--token-file', path];
    expect((await run(words(file('open', 'hfo_secret', 0o644)))).stderr).toMatch(/^token-file-open-to-others: /);
    expect((await run(words(file('keys', 'one\ntwo three\n')))).stderr).toMatch(/^token-unusable: /);
    expect((await run(words(file('none', '')))).stderr).toMatch(/^token-unusable: /);
    expect(other.heard).toEqual([]);
  });

  it('crosses no network in the clear, unless a person says so', async () => {
    const { directory, run, file } = person();
    const token = file('token', 'hfo_secret');
    const far = 'http://fleet.example:4000';
    for (const words of [
      ['fleet', '--server', far],
      ['connect', far],
    ]) {
      const { exitCode, stderr } = await run([...words, '--token-file', token]);
      expect([exitCode, stderr], words[0]).toEqual([1, expect.stringMatching(/^http-not-private: .*\nNext: .*https:/)]);
    }
    const found = (allowHttp: boolean) => findConnection({ server: far, tokenFile: token, allowHttp }, { directory });
    expect(() => found(false)).toThrow(expect.objectContaining({ code: 'http-not-private' }));
    expect(found(true).url).toBe(far);
    writeProfile(pathOfProfile(directory, 'cli'), { url: far, token: 'hfo_secret', allowHttp: true });
    expect(findConnection({}, { directory }).url).toBe(far);
    for (const near of ['http://localhost:1', 'http://127.1:1', 'http://[::1]:1', 'https://fleet.example'])
      expect(findConnection({ server: near, tokenFile: token }, { directory }).url).toBe(near);
  });

  it("is the story's only where the person has none", () => {
    const { directory } = person();
    writeProfile(pathOfProfile(directory, 'story'), {
      url: 'http://127.0.0.1:1',
      token: 'hfo_story',
      allowHttp: false,
    });
    expect(findConnection({}, { directory }).token).toBe('hfo_story');
    writeProfile(pathOfProfile(directory, 'cli'), { url: 'http://127.0.0.1:2', token: 'hfo_own', allowHttp: false });
    expect(findConnection({}, { directory }).token).toBe('hfo_own');
    expect(findConnection({ profile: 'story' }, { directory }).token).toBe('hfo_story');
    rmSync(pathOfProfile(directory, 'story'));
    expect(() => findConnection({ profile: 'story' }, { directory })).toThrow(
      expect.objectContaining({ code: 'not-configured', next: expect.stringContaining('npm start') }),
    );
    expect(() => findConnection({ profile: '../x' }, { directory })).toThrow(
      expect.objectContaining({ code: 'not-configured' }),
    );
    expect(profileDirectory('/home/a', 'relative')).toBe('/home/a/.config/holdfast');
  });
});
