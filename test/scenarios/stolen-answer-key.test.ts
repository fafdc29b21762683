import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CheckInAnswerInput, checkInPath } from '../../protocol/check-in.ts';
import { privateKeyFromPem } from '../../protocol/trust/ed25519.ts';
import { signAnswer } from '../../protocol/trust/http-signature.ts';
import { asSigned } from '../support/as-signed.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { comesWithinMs, committed, ended, endWorld, makeWorld, paceS, serves, untilOf } from './scene.ts';

/** A thief has the server's answer key and its place for a while; then the true server is back. */

const world = makeWorld();
const name = 'harbour-1';
let box: ApplianceBox;
const port = () => Number(new URL(world.server.url).port);
const most = Number.MAX_SAFE_INTEGER;

/** What the thief says to one request after the other: numbers without an end, each of them signed. */
const year3000 = 32_503_680_000;
const lies: readonly { readonly status: number; readonly body: object }[] = [
  { status: 409, body: { code: 'counter-too-low', next: most } },
  {
    status: 200,
    body: {
      ...{ etag: 'lie', issuedAt: year3000, epoch: 'another', nextInS: 0.2, ackUpto: most, offerFrom: 1 },
      ...{ orders: [], desired: null, seen: {} },
    } satisfies CheckInAnswerInput,
  },
  {
    status: 200,
    body: {
      ...{ etag: 'lie', issuedAt: most, epoch: 'third', nextInS: 0.2, ackUpto: most, stored: [] },
      ...{ orders: [], desired: null, seen: {} },
    } satisfies CheckInAnswerInput,
  },
];

/** @returns the server, and how many requests it has answered */
async function thief(): Promise<{ server: Server; answered: () => number }> {
  const key = privateKeyFromPem(readFileSync(join(world.server.dir, 'keys', 'answer.pem'), 'utf8'));
  let answered = 0;
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      if (request.url !== checkInPath) return void response.writeHead(503).end();
      const { status, body } = lies[answered % lies.length] ?? { status: 503, body: {} };
      answered += 1;
      const bytes = Buffer.from(JSON.stringify(body));
      const exchange = asSigned(request.headers, { method: 'POST', path: checkInPath });
      const proof = signAnswer({ status, body: bytes }, exchange, String(request.headers.signature), key);
      response.writeHead(status, { ...proof, 'content-type': 'application/json' }).end(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(port(), '127.0.0.1', resolve));
  return { server, answered: () => answered };
}

async function checkedIn(since: { agent: number; updater: number }) {
  return untilOf(box, 'reaches the true server with both programs', async () => {
    const { checkIns } = await world.server.appliance(name);
    const isBoth = (checkIns.agent?.atMs ?? 0) > since.agent && (checkIns.updater?.atMs ?? 0) > since.updater;
    return isBoth ? checkIns : null;
  });
}

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  box = await world.addAppliance(name, {
    trial: { healthyMs: 500, deadlineMs: patienceMs },
    settings: { sampleMs: 100 },
  });
  await box.powerOn();
  await serves(box, '1.0.52');
  await checkedIn({ agent: 0, updater: 0 });
});

afterAll(() => endWorld(world));

describe('an appliance to which a thief of the answer key named numbers without an end', () => {
  it('reaches the true server again, with all its evidence, takes its orders and its next release', async () => {
    await world.server.stop();
    const { server, answered } = await thief();
    await until('lies that were believed', comesWithinMs, async () => (answered() >= 24 ? true : null));
    const backAtMs = Date.now();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await world.server.start(port(), paceS);
    await checkedIn({ agent: backAtMs, updater: backAtMs });

    const order = await ended(world, (await world.server.sendOrder(name, 'run-checks')).id);
    expect(order.state).toBe('succeeded');
    const records = (await world.server.records(name)).length;
    await until('more records', comesWithinMs, async () =>
      (await world.server.records(name)).length > records + 3 ? true : null,
    );
    const fix = await world.builder.app('1.0.54');
    await world.publish(fix);
    await world.server.startRollout('1.0.54', [name]);
    const view = await committed(world, name, '1.0.54');
    expect(view.quarantine).toEqual([]);
    const told = (await world.server.events(name, 'release-committed')).map(({ text }) => text);
    expect(told).toEqual([expect.stringContaining('1.0.54')]);
  });
});
