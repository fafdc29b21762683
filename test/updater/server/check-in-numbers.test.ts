import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { counterStepMax } from '../../../protocol/bounded-step.ts';
import type { DesiredInput } from '../../../protocol/check-in.ts';
import { keyIdOf } from '../../../protocol/ids.ts';
import { keyUnknownCode } from '../../../protocol/key-unknown.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { generateKeyPair } from '../../../protocol/trust/ed25519.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { checkIn, type Report } from '../../../updater/server/check-in.ts';
import { type Counter, openCounter } from '../../../updater/server/counter.ts';
import { type EventQueue, eventIdOf, openEvents } from '../../../updater/server/events.ts';
import { loadRemembered } from '../../../updater/server/remembered-answer.ts';
import { AnsweringServer, type PlannedAnswer } from '../support/answering-server.ts';
import { digestOf } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';

/** What a signed answer may move here: its numbers, what it acknowledges, and a server that does not know the key. */

const dayS = 24 * 60 * 60;
const report: Report = { have: {}, health: { status: 'ok' } };
const release = { component: 'app', version: '1.0.52', manifest: digestOf('c') };
const desired: DesiredInput = { release, path: '/releases', openForS: 3_600, reasons: [] };

let layout: Layout;
let server: AnsweringServer;
let events: EventQueue;
let counter: Counter;
let builtAtS: number;
const clock = new TestClock();
const pair = generateKeyPair();

beforeEach(async () => {
  layout = temporaryAppliance();
  builtAtS = 0;
  server = await new AnsweringServer(pair.publicKey).start();
  events = openEvents(realFiles, layout, clock, 'hf-00000000000000000001');
  counter = openCounter(realFiles, layout);
});

function ask(plan: readonly PlannedAnswer[]) {
  server.plan = [...plan];
  const identity = {
    ...{ appliance: 'hf-00000000000000000001', name: 'one', site: 'north', url: server.url },
    ...{ answerKeys: [server.key.publicKey], rootDigest: digestOf('d') },
  };
  const effects = {
    files: realFiles,
    layout,
    builtAtS,
    clock,
    http: makeHttp(),
    counter,
    events,
    log: () => undefined,
  };
  return checkIn({ ...effects, identity, key: pair.privateKey }, report);
}
const remembered = () => loadRemembered(realFiles, layout);

describe('a signed answer', () => {
  it('remembers the time that a server signed, but answers move it by a day at the most beyond the time that passes', async () => {
    await ask([server.answer({ issuedAt: 1_780_000_000 })]);
    await ask([server.answer({ issuedAt: 32_503_680_000 })]);
    expect(remembered().issuedAtS).toBe(1_780_000_000 + dayS);
    for (let i = 0; i < 8; i += 1) await ask([server.answer({ issuedAt: 32_503_680_000 })]);
    expect(remembered().issuedAtS).toBe(1_780_000_000 + dayS);
    clock.nowMs += 7_200_000;
    await ask([server.answer({ issuedAt: 32_503_680_000 })]);
    expect(remembered().issuedAtS).toBe(1_780_000_000 + dayS + 7_200);
    // A server whose clock is right again is believed again.
    await ask([server.answer({ issuedAt: 1_780_000_100 })]);
    expect(remembered().issuedAtS).toBe(1_780_000_100);
  });

  it('is remembered whatever numbers it has', async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const openForever = { ...desired, openForS: most };
    for (let i = 0; i < 2; i += 1) {
      await ask([
        server.answer({ issuedAt: most, nextInS: 1e300, ackUpto: most, offerFrom: most, desired: openForever }),
      ]);
      clock.nowMs += 60_000;
    }
    expect(remembered()).toMatchObject({ etag: 'etag-1', desired: openForever, nextInS: dayS });
    expect(new Date(remembered().issuedAtS * 1000).getTime()).not.toBeNaN();
  });

  it('begins at the trusted time of the disk after a boot, or at the time of the build', async () => {
    builtAtS = 1_700_000_000;
    await ask([server.answer({ issuedAt: 1_780_000_000 })]);
    expect(remembered().issuedAtS).toBe(builtAtS + dayS);
  });

  it('forgets the events that the server names, of those that it carried', async () => {
    for (const name of ['a', 'b', 'c']) events.add(name, { kind: 'note', text: name });
    const [, second] = events.next();
    const stranger = eventIdOf('another');
    await ask([server.answer({ stored: [second?.id ?? '', stranger], ackUpto: 0 })]);
    expect(events.next().map(({ text }) => text)).toEqual(['a', 'c']);
  });

  it('says which metadata of the server is trusted here, once there is any', async () => {
    await ask([server.answer()]);
    mkdirSync(layout.trust, { recursive: true });
    const meta = { 'snapshot.json': { version: 41 } };
    writeFileSync(join(layout.trust, 'timestamp.json'), JSON.stringify({ signed: { version: 57, meta } }));
    await ask([server.answer()]);
    writeFileSync(join(layout.trust, 'timestamp.json'), '{"signed');
    await ask([server.answer()]);
    expect(server.requests.map(({ trusted }) => trusted)).toEqual([
      undefined,
      { timestamp: 57, snapshot: 41 },
      undefined,
    ]);
  });
});

describe('a signed refusal', () => {
  it('of the counter beyond all numbers is followed by a step, and the true server is reached at once (S49)', async () => {
    const conflict = { status: 409, body: { code: 'counter-too-low', next: Number.MAX_SAFE_INTEGER } };
    for (let i = 0; i < 3; i += 1) expect(await ask([conflict])).toMatchObject({ outcome: 'refused' });
    counter = openCounter(realFiles, layout);
    expect(await ask([server.answer()])).toMatchObject({ outcome: 'answered' });
    expect(server.requests.at(-1)?.seq).toBeLessThan(20 * counterStepMax);
  });

  it.each([401, 404])('that does not know the key (%i) is told as a server that was restored', async (status) => {
    await ask([server.answer({ desired })]);
    events.add('one', { kind: 'note', text: 'waits' });
    const key = keyIdOf(Buffer.from(pair.publicKey, 'hex'));
    const problem = { code: keyUnknownCode, message: 'this server does not know the key', key };
    expect(await ask([{ status, body: problem }])).toMatchObject({ outcome: 'refused' });
    const { error, nextInS } = remembered();
    expect(error).toMatchObject({ code: 'appliance-unknown', message: expect.stringContaining('does not know') });
    expect(error?.next).toContain('holdfast-updater setup');
    expect(nextInS).toBeLessThan(5);
    expect(events.waiting).toBe(1);
    expect(await ask([{ status, body: problem, signed: 'not' }])).toMatchObject({ outcome: 'not-trusted' });
  });

  it('that does not know another key is no answer to this one: somebody put that id beside its signature', async () => {
    const [message, key] = ['this server does not know the key', digestOf('e')];
    for (const body of [
      { code: keyUnknownCode, message, key },
      { code: keyUnknownCode, message },
    ]) {
      expect(await ask([{ status: 401, body }])).toMatchObject({ outcome: 'not-trusted' });
      expect(remembered().error).toMatchObject({ code: 'answer-for-another' });
    }
  });
});
