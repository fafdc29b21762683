import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Claim, decodeClaim } from '../../protocol/claim.ts';
import { layoutOf } from '../../protocol/layout.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { makeHttp } from '../../updater/effects/http.ts';
import { setUp } from '../../updater/setup.ts';
import { TestServer } from '../support/test-server.ts';

const other = 'ab'.repeat(32);

const development = { processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } };

/** Sets an appliance up by a claim of a real server, as somebody changed it. There is no factory: enrolment comes first. */
async function setUpBy(change: (claim: Claim) => Partial<Claim>, settings: object | null = development) {
  await using bench = await TestServer.start();
  await bench.publish('1.0.0');
  const root = mkdtempSync(join(tmpdir(), 'hf-set-up-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const claim = decodeClaim(await bench.claim('alpha'));
  const lines: string[] = [];
  const order = { files: realFiles, http: makeHttp(), layout: layoutOf(root), factory: root, version: '1.0.0' };
  mkdirSync(order.layout.updater);
  if (settings !== null) writeFileSync(order.layout.settings, JSON.stringify(settings));
  const done = setUp({ ...order, claim: { ...claim, ...change(claim) }, log: (line) => lines.push(line) });
  const code = await done.then(
    () => 'done',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
  return { code, lines, identity: realFiles.stat(order.layout.identity) };
}

describe('a claim', () => {
  it('is taken by the server whose key and root it pins', async () => {
    expect(await setUpBy(() => ({}))).toMatchObject({
      code: 'factory-missing',
      lines: [expect.stringMatching(/^claimed as alpha/)],
    });
  });

  it('whose key the server has no more is taken when the pinned root leads to the key that it has now', async () => {
    const { code, lines } = await setUpBy(() => ({ key: other }));
    expect(code).toBe('factory-missing');
    expect(lines).toEqual([expect.stringContaining('another key'), expect.stringMatching(/^claimed as alpha/)]);
  });

  it('is not given to a server whose key and root are others', async () => {
    const { code, lines, identity } = await setUpBy(() => ({ key: other, root: other }));
    expect(code).toBe('server-not-pinned');
    expect(lines.join()).not.toContain('claimed as');
    expect(identity).toBeNull();
  });

  it('is not used up on a machine that has neither settings nor the users of the units', async () => {
    const { code, lines, identity } = await setUpBy(() => ({}), null);
    expect([code, lines, identity]).toEqual(['users-missing', [], null]);
  });
});
