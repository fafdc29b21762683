import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { apiOf } from '../../../server-lite/cli/api.ts';
import { readProfile } from '../../../server-lite/cli/profile.ts';
import { TestServer } from '../../support/test-server.ts';

/** What the operator's command line says, so that the next step is the right one. */

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-refusals-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

/** A server of somebody else. */
async function answering(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return apiOf({ url: `http://127.0.0.1:${port}`, token: 'hfo_x' });
}

const refusal = (work: () => unknown) =>
  Promise.resolve()
    .then(work)
    .then(
      () => ({ code: 'none' }),
      ({ code, message, next }) => ({ code, message, next }),
    );

describe('a bundle that cannot be read', () => {
  it('is not the fault of the server, when it is a directory', async () => {
    const api = await answering((_, response) => response.end('{}'));
    expect(await refusal(() => api.upload('/', directory, z.object({})))).toMatchObject({
      code: 'not-a-file',
      message: `${directory} is no file`,
      next: expect.stringContaining('.hfb'),
    });
  });

  it('is not either, when it changes while it is sent', async () => {
    const file = join(directory, 'app.hfb');
    writeFileSync(file, Buffer.alloc(64 * 1024 * 1024));
    const api = await answering((request, response) => {
      request.once('data', () => truncateSync(file, 10));
      request.on('end', () => response.end('{}'));
    });
    expect(await refusal(() => api.upload('/', file, z.object({})))).toMatchObject({
      code: 'file-unreadable',
      message: expect.stringContaining(file),
    });
  });
});

describe('an answer of something in between', () => {
  it('that asks for a password is told as such', async () => {
    const api = await answering((_, response) => response.writeHead(407).end());
    expect(await refusal(() => api.get('/', z.object({})))).toMatchObject({
      code: 'server-unreachable',
      message: expect.stringContaining('407: a proxy in between asks for a name and a password'),
    });
  });

  it('that is a page leads to a captive portal', async () => {
    const api = await answering((_, response) => response.end('<html>'));
    expect(await refusal(() => api.get('/', z.object({})))).toMatchObject({
      next: expect.stringContaining('captive portal'),
    });
  });
});

describe('a name that is none', () => {
  it('is refused with one reason and the next step', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.49');
    const { body } = await bench.api('POST', '/api/claims', { name: '' });
    expect(body).toMatchObject({ code: 'request-malformed', next: expect.stringContaining('correct what is named') });
    expect(JSON.stringify(body)).toContain('name: a name has at least one character"');
  });
});

describe('a stored connection', () => {
  it('that is a directory is named', async () => {
    const path = join(directory, 'cli.json');
    mkdirSync(path, 0o700);
    expect((await refusal(() => readProfile(path))).code).toBe('file-unreadable');
    expect(await refusal(() => readProfile(path))).toMatchObject({ message: `${path} is no file` });
  });

  it('that is empty is told as empty, and has nothing that others could read', async () => {
    const path = join(directory, 'cli.json');
    writeFileSync(path, '', { mode: 0o644 });
    expect(await refusal(() => readProfile(path))).toMatchObject({
      code: 'not-configured',
      message: `${path} is empty`,
    });
  });
});
