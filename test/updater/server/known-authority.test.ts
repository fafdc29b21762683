import { mkdirSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { generateKeyPair } from '../../../protocol/trust/ed25519.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { checkIn } from '../../../updater/server/check-in.ts';
import { openCounter } from '../../../updater/server/counter.ts';
import { openEvents } from '../../../updater/server/events.ts';
import { knownAuthority } from '../../../updater/server/known-authority.ts';
import { AnsweringServer, type PlannedAnswer } from '../support/answering-server.ts';
import { digestOf } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

const pair = generateKeyPair();
const features = ['authority'];
let layout: Layout;
let server: AnsweringServer;
let authority: string;
let files: Files;
let ask: (...plan: PlannedAnswer[]) => Promise<string>;

beforeEach(async () => {
  files = realFiles;
  layout = temporaryAppliance();
  server = await new AnsweringServer(pair.publicKey).start();
  authority = new URL(server.url).host;
  const clock = new TestClock();
  const [name, site, appliance] = ['one', 'north', 'hf-00000000000000000001'];
  const identity = {
    appliance,
    name,
    site,
    url: server.url,
    answerKeys: [server.key.publicKey],
    rootDigest: digestOf('d'),
  };
  const events = openEvents(realFiles, layout, clock, appliance);
  const counter = openCounter(realFiles, layout);
  const effects = { layout, clock, http: makeHttp(), counter, events, log: () => undefined };
  ask = async (...plan) => {
    server.plan = plan;
    return (
      await checkIn({ ...effects, files, identity, key: pair.privateKey }, { have: {}, health: { status: 'ok' } })
    ).outcome;
  };
});

const known = () => knownAuthority({ files: realFiles, layout });
const says = (words: readonly string[] | null) => server.answer(words === null ? {} : { features: [...words] });
/** The last request, as it was signed and by what it named. */
const last = () => ({ signs: server.isTargetSigned.at(-1), ...server.requests.at(-1) });

describe("the updater's requests", () => {
  it('name the authority, and are signed for it once the server said that it goes by it', async () => {
    await ask(says(features));
    expect(last()).toMatchObject({ signs: false, authority, features: ['update', 'events', 'seen'] });
    expect(known()).toBe(authority);
    expect(await ask(says(features))).toBe('answered');
    expect(last()).toMatchObject({ signs: true, authority, features: ['update', 'events', 'seen', 'authority'] });
  });

  it('are signed as before for a server that says nothing of it, or something else', async () => {
    for (const words of [null, [], ['another']]) {
      await ask(says(words));
      await ask(says(words));
      expect(last().signs).toBe(false);
    }
    expect(known()).toBeNull();
  });

  it('stay as they are when nothing changed', async () => {
    await ask(says(features));
    await ask({ status: 204 });
    await ask({ status: 204 });
    expect(last()).toMatchObject({ signs: true, etag: 'etag-1' });
  });

  it('are signed as before once the server refused the name, which the very same check-in survives', async () => {
    await ask(says(features));
    const refusal = { code: 'authority-unknown', message: 'no such name here' };
    expect(await ask({ status: 421, body: refusal }, says(null))).toBe('answered');
    expect(server.isTargetSigned).toEqual([false, true, false]);
    expect(last().features).not.toContain('authority');
    expect(known()).toBeNull();
  });
});

describe('what is not signed', () => {
  const lies: readonly (readonly [string, PlannedAnswer])[] = [
    ['a refusal of the name', { status: 421, body: { code: 'authority-unknown', message: 'no' }, signed: 'not' }],
    [
      'a refusal by a stranger',
      { status: 421, body: { code: 'authority-unknown', message: 'no' }, signed: 'foreign-key' },
    ],
    ['an answer without the word', { status: 200, body: {}, signed: 'not' }],
    ['a hang-up', { status: 200, hangsUp: true }],
  ];

  it.each(lies)('changes nothing that is kept: %s', async (_what, lie) => {
    await ask(says(features));
    for (let i = 0; i < 12; i += 1) await ask(lie);
    expect(known()).toBe(authority);
    // What goes out in the meantime asks to be refused by every server that the name is not of.
    expect(server.requests.slice(1).every((request) => request.features.includes('authority'))).toBe(true);
    // The server is back: within the bound it has a request that is signed for it.
    const before = server.isTargetSigned.length;
    for (let i = 0; i < 8; i += 1) expect(await ask(says(features))).toBe('answered');
    expect(server.isTargetSigned.slice(before)).toContain(true);
    await ask(says(features));
    expect(last().signs).toBe(true);
  });

  it('teaches nothing: the word of a stranger', async () => {
    await ask({ ...says(features), signed: 'foreign-key' });
    await ask({ ...says(features), signed: 'not' });
    expect(known()).toBeNull();
  });
});

describe('a server that was put back to a version before this', () => {
  it('is reached by the next check-in, and its word ends the other profile', async () => {
    await ask(says(features));
    server.isOld = true;
    expect(await ask(says(null))).toBe('not-trusted');
    expect(known()).toBe(authority);
    expect(await ask(says(null))).toBe('answered');
    // It wants the whole answer, whatever it has: a 204 would tell nothing.
    expect(last()).toMatchObject({ signs: false, etag: null });
    expect(known()).toBeNull();
    for (let i = 0; i < 4; i += 1) expect(await ask(says(null))).toBe('answered');
  });

  it('is signed for again once it is of today', async () => {
    await ask(says(features));
    server.isOld = true;
    for (let i = 0; i < 3; i += 1) await ask(says(null));
    server.isOld = false;
    await ask(says(features));
    await ask(says(features));
    expect(last().signs).toBe(true);
  });
});

describe('where what is known cannot be kept', () => {
  it('a damaged file is told again by the next answer', async () => {
    mkdirSync(layout.knownAuthority);
    expect(await ask(says(features))).toBe('answered');
    expect(known()).toBe(authority);
  });

  it('a check-in goes on, in the first profile', async () => {
    files = withOperations({
      rename: (from, to) => {
        if (to === layout.knownAuthority) throw systemError('ENOSPC');
        realFiles.rename(from, to);
      },
    });
    for (let i = 0; i < 2; i += 1) expect(await ask(says(features))).toBe('answered');
    expect([known(), last().signs]).toEqual([null, false]);
  });
});
