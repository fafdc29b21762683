import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { layoutOf } from '../../../protocol/layout.ts';
import { TestServer } from '../../support/test-server.ts';
import { patienceMs, until } from '../../support/world/wait.ts';

const main = resolve('updater/main.ts');
let bench: TestServer;
let claim: string;

beforeAll(async () => {
  bench = await TestServer.start();
  await bench.publish('1.0.0');
  claim = await bench.claim('alpha');
});
afterAll(() => bench[Symbol.asyncDispose]());

/** `holdfast-updater setup` in a directory of its own. Its factory is none: `truncated` says that the claim was taken. */
function place() {
  const root = mkdtempSync(join(tmpdir(), 'hf-secret-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(layoutOf(root).updater);
  const settings = { processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } };
  writeFileSync(layoutOf(root).settings, JSON.stringify(settings));
  for (const component of ['app', 'updater']) writeFileSync(join(root, `${component}-0.0.0.hfb`), 'no bundle');
  const words = [main, 'setup', '--root', root, '--factory', root, '--server', bench.url];
  const run = async (more: readonly string[], input = '') =>
    (await execa(process.execPath, [...words, ...more], { reject: false, input })).stderr;
  return { root, words, run };
}

describe('a claim code', () => {
  it('is not taken from among the arguments, which everybody can list, and nobody is asked', async () => {
    const { run } = place();
    const said = await run(['--claim', claim]);
    expect(said).toMatch(/^claim-on-command-line: .*every user.*\n.*--claim-file FILE.*Nothing was changed/);
    expect(said).not.toContain(claim);
    expect(bench.log.join('')).not.toContain('enrolled');
  });

  it('comes from a file that is for nobody else', async () => {
    const { root, run } = place();
    const file = join(root, 'claim');
    writeFileSync(file, `${claim}\n`, { mode: 0o644 });
    expect(await run(['--claim-file', file])).toMatch(/^secret-open-to-others: .*\nchmod 600/);
    chmodSync(file, 0o600);
    expect(await run(['--claim-file', file])).toContain('truncated');
    expect(await run(['--claim-file', join(root, 'none')])).toMatch(/^secret-unreadable: /);
  });

  it('comes on standard input, and is asked for on a terminal without showing it', async () => {
    await using other = await TestServer.start();
    await other.publish('1.0.0');
    const { run, words } = place();
    expect(await run([])).toMatch(/^claim-missing: .*\n.*--claim-file/);
    const typedClaim = await other.claim('beta');
    const again = words.map((word) => (word === bench.url ? other.url : word));
    const typed = execa('script', ['-qec', [process.execPath, ...again].join(' '), '/dev/null'], { reject: false });
    let screen = '';
    typed.stdout.on('data', (part: Buffer) => {
      screen += part.toString();
    });
    await until('the question is there', patienceMs, () => (screen.includes('(not shown)') ? true : null));
    typed.stdin.write(`${typedClaim}\r`);
    await typed;
    expect(screen).toContain('truncated');
    expect(screen).not.toContain(typedClaim.slice(0, 40));
  });
});

describe('the password of a proxy', () => {
  it('is not taken from among the arguments either', async () => {
    const { run } = place();
    const said = await run(['--claim', '-', '--proxy', 'http://tech:secret@127.0.0.1:9'], claim);
    expect(said).toMatch(/^proxy-on-command-line: .*\n.*--proxy-file FILE/);
    expect(said).not.toContain('secret@');
  });
});
