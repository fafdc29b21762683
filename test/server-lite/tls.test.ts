import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { certificateTrouble, clockWords } from '../../protocol/certificate.ts';
import { makeHttp } from '../../updater/effects/http.ts';
import { makeCertificate } from '../support/certificate.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { serve, serverMain } from './server-process.ts';

function place(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hf-tls-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** As `makeCertificate`, for a time that is over, or has not come. */
function certificateFor(dir: string, name: string, from: string, to: string) {
  const made = makeCertificate(dir, name);
  const path = (suffix: string) => join(dir, `${name}.${suffix}`);
  const authority = [
    '[ca]\ndefault_ca = d',
    `[d]\ndatabase = ${path('index')}\nserial = ${path('serial')}\nnew_certs_dir = ${dir}\ndefault_md = sha256\npolicy = p`,
    '[p]\ncommonName = supplied\n',
  ];
  writeFileSync(path('cnf'), authority.join('\n'));
  writeFileSync(path('index'), '');
  writeFileSync(path('serial'), '01\n');
  const files = ['-config', path('cnf'), '-keyfile', path('key'), '-in', path('csr'), '-extfile', path('ext')];
  const times = ['-startdate', from, '-enddate', to, '-out', path('pem')];
  execFileSync('openssl', ['ca', '-batch', '-notext', '-selfsign', ...files, ...times], { stdio: 'ignore' });
  return { ...made, cert: readFileSync(path('pem'), 'utf8') };
}

function put(dir: string, name: string, text: string): void {
  writeFileSync(join(dir, `${name}.new`), text);
  renameSync(join(dir, `${name}.new`), join(dir, name));
}

/** The serial number of the certificate that a server shows. */
function shown(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

const tlsWords = (dir: string) => ['--port', '0', '--tls-cert', join(dir, 'cert'), '--tls-key', join(dir, 'key')];

describe('the certificate of a server', () => {
  it('is served renewed after SIGHUP, without a restart, and never with the key of another one', async () => {
    const dir = place();
    const [first, second] = [makeCertificate(dir, 'first'), makeCertificate(dir, 'second')];
    put(dir, 'cert', first.cert);
    put(dir, 'key', first.key);
    const { child, line } = await serve(join(dir, 'data'), tlsWords(dir));
    let log = '';
    child.stderr.on('data', (part) => (log += String(part)));
    const before = await shown(line.url);
    // Half of the renewal: the key comes later.
    put(dir, 'cert', second.cert);
    child.kill('SIGHUP');
    expect(await shown(line.url)).toBe(before);
    await until('it is told of', patienceMs, () =>
      log.includes('the ones that were read before are served') ? true : null,
    );
    put(dir, 'key', second.key);
    child.kill('SIGHUP');
    await until('the renewed one', patienceMs, async () => ((await shown(line.url)) === before ? null : true));
    child.kill('SIGTERM');
    const { exitCode, stderr } = await child;
    expect(exitCode).toBe(0);
    expect(stderr).toContain('Server listening at https://');
    expect(log).toContain('the renewed certificate is served');
  });

  it.each([
    ['that has expired', '20200101000000Z', '20200201000000Z', /the TLS certificate expired on 2020-02-01/],
    ['of the future', '20900101000000Z', '20910101000000Z', /is valid from 2090-01-01 .* and the clock here says/],
  ])('%s is told of at the start', async (_, from, to, sentence) => {
    const dir = place();
    const { cert, key } = certificateFor(dir, 'odd', from, to);
    put(dir, 'cert', cert);
    put(dir, 'key', key);
    const { child } = await serve(join(dir, 'data'), tlsWords(dir));
    child.kill('SIGTERM');
    expect((await child).stderr).toMatch(sentence);
    const day = Date.parse('2026-11-30T00:00:00Z');
    expect(certificateTrouble(Buffer.from(cert), day)).toMatch(sentence);
  });

  it('that does not belong to its key, is none or is not there keeps the server from its start', async () => {
    const dir = place();
    const [one, other] = [makeCertificate(dir, 'one'), makeCertificate(dir, 'other')];
    const start = async (cert: string, key: string | null) => {
      put(dir, 'cert', cert);
      if (key !== null) put(dir, 'key', key);
      const words = ['serve', '--data', join(dir, 'data'), ...tlsWords(dir)];
      const { exitCode, stderr } = await execa(process.execPath, [serverMain, ...words], { reject: false });
      return [exitCode, stderr.split('\n')[0]];
    };
    expect(await start(one.cert, null)).toEqual([1, expect.stringMatching(/^tls-invalid: .*ENOENT/)]);
    expect(await start(one.cert, other.key)).toEqual([
      1,
      expect.stringMatching(/^tls-invalid: .*does not belong to the certificate/),
    ]);
    expect(await start('no certificate', one.key)).toEqual([1, expect.stringMatching(/^tls-invalid: /)]);
  });
});

describe('a certificate that is refused for its time', () => {
  it('points at the clock of whoever refuses it', async () => {
    const dir = place();
    const { cert, key } = certificateFor(dir, 'future', '20900101000000Z', '20910101000000Z');
    put(dir, 'cert', cert);
    put(dir, 'key', key);
    const { child, line } = await serve(join(dir, 'data'), tlsWords(dir));
    const entry = { proxy: null, ca: { pins: [], pem: [cert] }, rateBytesPerS: null };
    const http = makeHttp({}, entry);
    await expect(http.fetch({ url: line.url, totalMs: patienceMs }, 10_000)).rejects.toThrow(
      /the clock here says \d{4}-/,
    );
    child.kill('SIGTERM');
    await child;
    for (const code of ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']) expect(clockWords(code, 0)).toContain('1970-01-01');
    expect(clockWords('ECONNREFUSED', 0)).toBe('');
  });
});
