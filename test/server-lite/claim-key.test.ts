import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { decodeClaim, encodeClaim, enrolPath } from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import { layoutOf } from '../../protocol/layout.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { TestServer } from '../support/test-server.ts';

const code = (body: unknown) => z.object({ code: z.string() }).parse(body).code;

async function withClaim() {
  const bench = await TestServer.start();
  await bench.publish('1.0.49');
  return { bench, claim: await bench.claim('alpha') };
}

/** Somebody on the way who reads all that is sent, and passes it on. */
async function reader(bench: TestServer) {
  const read: string[] = [];
  const server = createServer(async (request, answer) => {
    const body = await text(request);
    read.push(body);
    const sent = Object.entries(request.headers).map(([name, value]) => [name, String(value)] as const);
    const headers = { ...Object.fromEntries(sent), host: new URL(bench.url).host };
    const got = await fetch(bench.url + request.url, { method: 'POST', headers, body });
    const passed = [...got.headers].filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/.test(name));
    answer.writeHead(got.status, Object.fromEntries(passed)).end(Buffer.from(await got.arrayBuffer()));
  });
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, read };
}

/** The real updater; its factory is none, and `truncated` says that it enrolled. */
async function setUp(server: string, claim: string): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'hf-claim-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(layoutOf(root).updater);
  const settings = { processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } };
  writeFileSync(layoutOf(root).settings, JSON.stringify(settings));
  for (const component of ['app', 'updater']) writeFileSync(join(root, `${component}-0.0.0.hfb`), 'no bundle');
  const words = ['setup', '--root', root, '--factory', root, '--server', server, '--claim', '-'];
  const options = { input: claim, reject: false } as const;
  return (await execa(process.execPath, [resolve('updater/main.ts'), ...words], options)).stderr;
}

describe("a claim's secret", () => {
  it('is sent to nobody, and what somebody reads on the way enrols nobody else', async () => {
    const { bench, claim } = await withClaim();
    await using _ = bench;
    const { secret } = decodeClaim(claim);
    const way = await reader(bench);
    expect(await setUp(way.url, claim)).toContain('truncated');
    expect(way.read).toHaveLength(1);
    expect(way.read.join('')).not.toContain(secret);
    expect((await bench.show('alpha')).name).toBe('alpha');
    const thief = await bench.client();
    const read = z.looseObject({}).parse(JSON.parse(way.read[0] ?? ''));
    const stolen = { ...thief.enrolmentByKey(claim), claimKey: read.claimKey, claimProof: read.claimProof };
    expect(code((await thief.send(enrolPath, stolen, thief.keys.updater)).body)).toBe('claim-not-proven');
  });

  it('is not on the server: neither itself nor its digest', async () => {
    const { bench, claim } = await withClaim();
    await using _ = bench;
    await bench.stop();
    const { secret } = decodeClaim(claim);
    const database = readFileSync(join(bench.data, 'server.db'));
    for (const text of [secret, sha256(secret)]) expect(database.includes(text)).toBe(false);
  });

  it('is proven by its key and no other, for the agent whose key is at hand', async () => {
    const { bench, claim } = await withClaim();
    await using _ = bench;
    const client = await bench.client();
    const send = (body: object) => client.send(enrolPath, body, client.keys.updater);
    const wrong = await send(client.enrolmentByKey(claim, { claimKey: generateKeyPair() }));
    expect([wrong.status, code(wrong.body)]).toEqual([403, 'claim-not-proven']);
    const other = await send(client.enrolmentByKey(claim, { agentKey: generateKeyPair() }));
    expect([other.status, code(other.body)]).toEqual([403, 'agent-key-not-proven']);
    const whole = client.enrolmentByKey(claim);
    for (const [name, refused] of [
      ['claimProof', 'claim-not-proven'],
      ['agentProof', 'agent-key-not-proven'],
      ['claimKey', 'enrol-malformed'],
    ])
      expect(code((await send({ ...whole, [name ?? '']: undefined })).body), name).toBe(refused);
    const unknown = client.enrolmentByKey(encodeClaim({ ...decodeClaim(claim), secret: 'A'.repeat(43) }));
    expect(code((await send(unknown)).body)).toBe('claim-unknown');
    expect((await send(whole)).status).toBe(200);
    expect((await send(whole)).status).toBe(200);
    const thief = await bench.client();
    const again = await thief.send(enrolPath, thief.enrolmentByKey(claim), thief.keys.updater);
    expect(code(again.body)).toBe('claim-used');
  });

  it('still enrols an updater that knows no proof, and a new updater still takes a code without one', async () => {
    const { bench, claim } = await withClaim();
    await using _ = bench;
    const released = await bench.client();
    expect((await released.enrol(claim)).status).toBe(200);
    const { proof, ...before } = decodeClaim(await bench.claim('beta'));
    expect(proof).toBe('ed25519');
    const way = await reader(bench);
    expect(await setUp(way.url, encodeClaim(before))).toContain('truncated');
    expect(JSON.parse(way.read[0] ?? '')).toMatchObject({ secret: before.secret });
    expect((await bench.show('beta')).name).toBe('beta');
  });
});
