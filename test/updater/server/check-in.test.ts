import { beforeEach, describe, expect, it } from 'vitest';
import { checkInBytesMax, type DesiredInput } from '../../../protocol/check-in.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { generateKeyPair } from '../../../protocol/trust/ed25519.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { checkIn, type Report } from '../../../updater/server/check-in.ts';
import { type Counter, openCounter } from '../../../updater/server/counter.ts';
import { type EventQueue, openEvents } from '../../../updater/server/events.ts';
import { isDue, loadRemembered } from '../../../updater/server/remembered-answer.ts';
import { AnsweringServer, type PlannedAnswer } from '../support/answering-server.ts';
import { digestOf } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const dayS = 24 * 60 * 60;
const report: Report = {
  have: { app: { version: '1.0.49', slot: '1', manifest: digestOf('b') } },
  health: { status: 'ok', row: 'idle', why: '1.0.49 runs and is healthy.', agentAlive: true },
  quarantine: [digestOf('c')],
};
const desired: DesiredInput = {
  release: { component: 'app', version: '1.0.52', manifest: digestOf('c') },
  path: '/releases',
  openForS: 3_600,
  reasons: [],
};

let layout: Layout;
let clock: TestClock;
let server: AnsweringServer;
let events: EventQueue;
let counter: Counter;
const pair = generateKeyPair();

beforeEach(async () => {
  layout = temporaryAppliance();
  clock = new TestClock();
  server = await new AnsweringServer(pair.publicKey).start();
  events = openEvents(realFiles, layout, clock, 'hf-00000000000000000001');
  counter = openCounter(realFiles, layout);
});

function ask(plan: readonly PlannedAnswer[], fresh = false, files: Files = realFiles) {
  server.plan = [...plan];
  const identity = {
    appliance: 'hf-00000000000000000001',
    name: 'one',
    site: 'north',
    url: server.url,
    answerKeys: [server.key.publicKey],
    rootDigest: digestOf('d'),
  };
  const effects = {
    files,
    layout,
    clock,
    http: makeHttp(),
    counter,
    events,
    log: () => undefined,
  };
  return checkIn({ ...effects, identity, key: pair.privateKey }, report, fresh);
}
const remembered = () => loadRemembered(realFiles, layout);

describe('a check-in', () => {
  it('says what is here, with the next number and the events that wait', async () => {
    events.add('one', { kind: 'note', text: 'something happened' });
    await ask([server.answer()]);
    expect(server.requests).toMatchObject([
      { proto: 1, seq: 1, boot: clock.bootId(), etag: null, ...report, events: [{ n: 1, text: 'something happened' }] },
    ]);
  });

  it('takes decision, pace, acknowledgement and the word on a start from a signed answer', async () => {
    for (const name of ['a', 'b', 'c']) events.add(name, { kind: 'note', text: name });
    const seen = { [digestOf('e')]: { version: '1.0.52', checkIns: 2 } };
    const outcome = await ask([server.answer({ desired, seen, ackUpto: 2, nextInS: 45 })]);
    expect(outcome).toEqual({ outcome: 'answered', desired, seen });
    expect(events.next().map(({ n }) => n)).toEqual([3]);
    expect(remembered()).toMatchObject({ etag: 'etag-1', desired, nextInS: 45, failures: 0, error: null });
  });

  it('names no answer as its last one after one that a full disk did not keep', async () => {
    await ask([server.answer()]);
    await ask([server.answer()]);
    expect(server.requests[1]).toHaveProperty('last');
    const full = withOperations({
      create: () => {
        throw systemError('ENOSPC');
      },
    });
    await expect(ask([server.answer()], false, full)).rejects.toThrow('ENOSPC');
    await ask([server.answer()]);
    expect(server.requests[3]).not.toHaveProperty('last');
  });

  it('keeps the decision when nothing changed since', async () => {
    await ask([server.answer({ desired, nextInS: 45 })]);
    const outcome = await ask([{ status: 204 }]);
    expect(server.requests[1]?.etag).toBe('etag-1');
    expect(outcome).toMatchObject({ outcome: 'answered', desired });
    expect(remembered()).toMatchObject({ etag: 'etag-1', desired, nextInS: 45 });
  });

  it('asks for the whole answer where it is wanted, though nothing may have changed', async () => {
    await ask([server.answer()]);
    await ask([server.answer()], true);
    expect(server.requests[1]?.etag).toBeNull();
  });

  it('takes the decision although an order beside it cannot be read (S35, S60)', async () => {
    const answer = server.answer({ desired });
    const orders = [{ payloadType: 7 }];
    expect(await ask([{ ...answer, body: { ...Object(answer.body), orders } }])).toMatchObject({ desired });
  });

  it('goes out as the lifeline whatever weighs in the events', async () => {
    for (let i = 0; i < 30; i += 1) events.add(`note ${i}`, { kind: 'note', text: '\u0001'.repeat(1_900) });
    const exit = { code: 1, signal: null };
    const crash = { count: 1, exit, version: '1.0.49', output: '\u0001'.repeat(4_000) };
    for (let upto = 0; events.waiting > 0 && upto < 40; upto += 1) {
      if (upto === 1) events.add('crash', { kind: 'agent-crashed', text: '', crash });
      await ask([server.answer({ ackUpto: events.next().at(-1)?.n ?? 0 })]);
    }
    expect(events.waiting).toBe(0);
    expect(Math.max(...server.bodies.map((body) => body.length))).toBeLessThanOrEqual(checkInBytesMax);
  });
});

describe('what is not signed by this server for this request', () => {
  const lie = { desired, ackUpto: 1_000_000, nextInS: 7 * dayS, seen: {} };
  const cases: readonly { what: string; answer: () => PlannedAnswer; code: string }[] = [
    { what: 'an unsigned answer', answer: () => ({ ...server.answer(lie), signed: 'not' }), code: 'signature-missing' },
    {
      what: "a stranger's answer",
      answer: () => ({ ...server.answer(lie), signed: 'foreign-key' }),
      code: 'key-unknown',
    },
    {
      what: 'the answer to another request',
      answer: () => ({ ...server.answer(lie), signed: 'for-another-request' }),
      code: 'signature-wrong',
    },
    {
      what: 'a page to log in',
      answer: () => ({ status: 200, body: '<html>', signed: 'not' }),
      code: 'signature-missing',
    },
    { what: 'an error 500', answer: () => ({ status: 500, body: 'no', signed: 'not' }), code: 'signature-missing' },
    { what: 'a 410', answer: () => ({ status: 410, body: {}, signed: 'not' }), code: 'signature-missing' },
    { what: 'a 204', answer: () => ({ status: 204, signed: 'not' }), code: 'signature-missing' },
    {
      what: 'a conflict about the counter',
      answer: () => ({ status: 409, body: { code: 'counter-too-low', next: 1_000_000 }, signed: 'not' }),
      code: 'signature-missing',
    },
  ];

  it.each(cases)('$what changes nothing but the time of the next try', async ({ answer, code }) => {
    await ask([server.answer({ desired: null, nextInS: 30 })]);
    events.add('one', { kind: 'note', text: 'waits' });
    const before = remembered();
    const outcome = await ask([answer()]);
    expect(outcome).toMatchObject({ outcome: 'not-trusted' });
    const { etag, issuedAtS, answered } = before;
    expect(remembered()).toMatchObject({ etag, issuedAtS, desired: null, answered, failures: 1, error: { code } });
    expect(remembered().nextInS).toBeLessThanOrEqual(30);
    expect(events.waiting).toBe(1);
    expect(counter.next()).toBeLessThan(1_000);
  });

  it('may delay the next try, by an hour at the most', async () => {
    const busy = (seconds: string): PlannedAnswer => ({
      status: 503,
      signed: 'not',
      headers: { 'retry-after': seconds },
    });
    await ask([busy('120')]);
    expect(remembered().nextInS).toBe(120);
    for (const long of ['3601', '86400', '99999999']) {
      await ask([busy(long)]);
      expect(remembered().nextInS).toBe(3_600);
    }
    for (const nonsense of ['-5', 'soon', 'Wed, 21 Oct 2026 07:28:00 GMT', '']) {
      await ask([server.answer(), busy(nonsense)]);
      await ask([busy(nonsense)]);
      expect(remembered().nextInS).toBeLessThanOrEqual(4);
    }
  });
});

describe('a signed refusal', () => {
  it('of the counter is followed by the number that it names', async () => {
    const conflict = { status: 409, body: { code: 'counter-too-low', next: 40_000 } };
    expect(await ask([conflict, server.answer()])).toMatchObject({ outcome: 'answered' });
    expect(server.requests.map(({ seq }) => seq)).toEqual([1, 40_000]);
  });

  it('of the counter again and again is not argued with: two may be using the key', async () => {
    const conflict = (next: number) => ({ status: 409, body: { code: 'counter-too-low', next } });
    expect(await ask([40_000, 50_000, 60_000, 70_000, 80_000].map(conflict))).toMatchObject({ outcome: 'refused' });
    expect(server.requests).toHaveLength(4);
    expect(remembered()).toMatchObject({ failures: 1, error: { code: 'http-409' } });
  });

  it('of a retired appliance lets it ask once a day', async () => {
    await ask([server.answer({ desired })]);
    expect(await ask([{ status: 410, body: { code: 'retired' } }])).toMatchObject({ outcome: 'refused' });
    expect(remembered()).toMatchObject({ nextInS: dayS, error: { code: 'retired' }, desired });
    await ask([server.answer({ nextInS: 30 })]);
    expect(remembered()).toMatchObject({ nextInS: 30, error: null });
  });

  it('of a busy server waits as long as it asks', async () => {
    const answer: PlannedAnswer = { status: 503, body: { code: 'busy' }, headers: { 'retry-after': '90' } };
    expect(await ask([answer])).toMatchObject({ outcome: 'refused' });
    expect(remembered()).toMatchObject({ nextInS: 90, error: { code: 'http-503' } });
    await ask([{ ...answer, headers: { 'retry-after': '99999999' } }]);
    expect(remembered()).toMatchObject({ nextInS: dayS });
  });

  it('that has no shape is not believed either', async () => {
    for (const body of [{ etag: 1 }, 'not JSON', { ...Object(server.answer().body), nextInS: -1 }]) {
      expect(await ask([{ status: 200, body }])).toMatchObject({ outcome: 'not-trusted' });
      expect(remembered().error?.code).toBe('answer-malformed');
    }
  });
});

describe('the pace', () => {
  it('is what the server asks for, and never more than a day', async () => {
    await ask([server.answer({ nextInS: 9e9 })]);
    expect(remembered().nextInS).toBe(dayS);
  });

  it('is kept by monotonic time, and a new boot asks at once', async () => {
    await ask([server.answer({ nextInS: 30 })]);
    clock.nowMs += 29_999;
    expect(isDue(remembered(), clock)).toBe(false);
    clock.nowMs += 1;
    expect(isDue(remembered(), clock)).toBe(true);
    clock.nowMs -= 10_000;
    clock.boot = '00000000-0000-4000-8000-000000000002';
    expect(isDue(remembered(), clock)).toBe(true);
  });

  it('is no longer than ten seconds while a version is on trial, but never against a back-off', async () => {
    await ask([server.answer({ nextInS: dayS })]);
    clock.nowMs += 9_999;
    expect(isDue(remembered(), clock, true)).toBe(false);
    clock.nowMs += 1;
    expect([isDue(remembered(), clock, true), isDue(remembered(), clock)]).toEqual([true, false]);
    await ask([{ status: 503, signed: 'not', headers: { 'retry-after': '600' } }]);
    clock.nowMs += 20_000;
    expect(isDue(remembered(), clock, true)).toBe(false);
  });

  it('backs off without end from a second on, but is never slower than the server asked for (S49)', async () => {
    await ask([server.answer({ nextInS: 30 })]);
    const delays: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      expect(await ask([{ status: 200, hangsUp: true }])).toMatchObject({ outcome: 'unreachable' });
      delays.push(remembered().nextInS);
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30]);
    expect(remembered()).toMatchObject({ failures: 12, error: { next: expect.stringContaining('keeps trying') } });
  });

  it('backs off to five minutes where the server asked for more', async () => {
    await ask([server.answer({ nextInS: dayS })]);
    for (let i = 0; i < 12; i += 1) await ask([{ status: 200, hangsUp: true }]);
    expect(remembered().nextInS).toBe(300);
  });

  it('is the one of the server again after failures, also when nothing changed', async () => {
    await ask([server.answer({ nextInS: 30 })]);
    await ask([{ status: 500, signed: 'not' }]);
    await ask([{ status: 204 }]);
    expect(remembered()).toMatchObject({ nextInS: 30, failures: 0, error: null });
  });
});
