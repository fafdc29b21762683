import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CheckInAnswerInput } from '../../../protocol/check-in.ts';
import type { Layout } from '../../../protocol/layout.ts';
import type { Quarantined, StateBody } from '../../../protocol/state-record.ts';
import { publicKeyOf } from '../../../protocol/trust/ed25519.ts';
import { freshMemory } from '../../../updater/appliance/appliance.ts';
import { next } from '../../../updater/machine/table.ts';
import { writeHistory } from '../../../updater/outcome/history.ts';
import { answerEnded, tellAsker } from '../../../updater/requests/request-answers.ts';
import { ask } from '../../../updater/run/ask.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { AnsweringServer } from '../support/answering-server.ts';
import { statusOn } from '../support/record-appliance.ts';
import { digestOf, idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.requests, { recursive: true, mode: 0o700 });
});

const left: Quarantined = { manifest: digestOf('c'), version: '1.0.52', reason: 'trial', verdict: 'stalled' };

function asks(asked: object): string {
  const id = randomUUID();
  writeFileSync(join(layout.requests, `${id}.json`), JSON.stringify({ v: 1, id, ...asked }), { mode: 0o600 });
  return id;
}

/** An appliance whose server answers every check-in with this. */
async function served(changes: Partial<CheckInAnswerInput>) {
  const { appliance } = testAppliance(layout);
  const server = await new AnsweringServer(publicKeyOf(appliance.key)).start();
  server.plan = [server.answer(changes)];
  const identity = { ...appliance.identity, url: server.url, answerKeys: [server.key.publicKey] };
  return { ...appliance, identity };
}

const wants = (version: string, letter: string): Partial<CheckInAnswerInput> => ({
  desired: {
    release: { component: 'app', version, manifest: digestOf(letter) },
    path: '/releases',
    openForS: 3_600,
    reasons: [],
  },
});

const answer = () => statusOn(layout).lastRequest;

describe('a look for a release', () => {
  it.each<[string, Partial<CheckInAnswerInput>, StateBody, object]>([
    [
      'that nothing is new',
      {},
      idleState(),
      { outcome: 'done', text: expect.stringMatching(/^Nothing new: .*1\.0\.49/) },
    ],
    [
      'that it is installed already',
      wants('1.0.49', 'b'),
      idleState(),
      { outcome: 'done', text: 'Nothing new: 1.0.49 is installed.' },
    ],
    [
      'that it was rolled back here',
      wants('1.0.52', 'c'),
      idleState({ quarantine: [left] }),
      { outcome: 'refused', code: 'quarantined', text: expect.stringContaining('1.0.52') },
    ],
    [
      'that a person left a newer one',
      wants('1.0.51', 'd'),
      idleState({ quarantine: [{ ...left, reason: 'by hand' }] }),
      { outcome: 'refused', code: 'held', text: expect.stringContaining('1.0.51') },
    ],
  ])('ends with %s', async (_, offered, state, expected) => {
    const appliance = await served(offered);
    const id = asks({ kind: 'check' });
    await runUpdater(appliance, state, false);
    expect(answer()).toEqual({ id, ...expected });
  });

  it('ends with why the server was not reached', async () => {
    const { appliance } = testAppliance(layout);
    const id = asks({ kind: 'check' });
    await runUpdater(appliance, idleState(), false);
    expect(answer()).toMatchObject({ id, outcome: 'failed', text: expect.stringContaining('not reached') });
    expect(answer()?.open).toBeUndefined();
  });

  it('is carried on by the next run, where the one that took it died', async () => {
    const appliance = await served({});
    const id = asks({ kind: 'check' });
    const { takeRequest } = await import('../../../updater/requests/requests.ts');
    await takeRequest(appliance, idleState());
    const memory = freshMemory(false);
    expect(await ask(appliance, idleState(), memory)).toEqual({ kind: 'nothing' });
    expect(answer()).toMatchObject({ id, outcome: 'done', text: expect.stringMatching(/^Nothing new/) });
  });

  it('that was cut off before the record of its transaction was written ends with that', async () => {
    const appliance = await served(wants('1.0.53', 'd'));
    const id = asks({ kind: 'check' });
    expect((await ask(appliance, idleState(), freshMemory(false))).kind).toBe('take');
    expect(answer()).toMatchObject({ id, outcome: 'begun', open: true, tx: 7 });
    // The run that took it was killed here: the record is the one of before, and nobody asks again.
    await ask(appliance, idleState({ quarantine: [{ ...left, manifest: digestOf('d') }] }), freshMemory(false));
    expect(answer()).toMatchObject({ id, outcome: 'failed', code: 'cut-off' });
    expect(answer()?.open).toBeUndefined();
  });

  it('names the transaction that it begins, and ends with what its line in the history says', async () => {
    const appliance = await served(wants('1.0.53', 'd'));
    const id = asks({ kind: 'check' });
    const event = await ask(appliance, idleState(), freshMemory(false));
    expect(event.kind).toBe('take');
    expect(answer()).toMatchObject({ id, outcome: 'begun', open: true, tx: 7, text: '1.0.53 is being installed' });
    const begun = next(idleState(), event);
    const [times, words] = [
      { fetchedMs: null, downMs: null, revertedMs: null, wallS: 0 },
      { outcome: 'rolled-back', reason: 'stalled', text: '1.0.53 was rolled back' } as const,
    ];
    const line = { tx: 7, component: 'app', from: '1.0.49', to: '1.0.53', ...words, ...times } as const;
    writeHistory(appliance.files, layout, line);
    // A run in the middle of it changes nothing.
    await ask(appliance, { ...begun, row: 'idle' }, freshMemory(false));
    expect(answer()).toMatchObject({ open: true });
    await ask(
      appliance,
      idleState({ lastTx: 7, quarantine: [{ ...left, manifest: digestOf('d') }] }),
      freshMemory(false),
    );
    expect(answer()).toEqual({
      id,
      outcome: 'failed',
      code: 'stalled',
      text: '1.0.53 was rolled back. 1.0.49 continues to run.',
    });
  });
});

describe('a return that ended well', () => {
  it('is told as one, and not once more as an installation', async () => {
    const { appliance } = testAppliance(layout);
    const id = randomUUID();
    tellAsker(appliance, 'page', { id, outcome: 'begun', open: true, tx: 7, text: 'going back from 1.0.49 to 1.0.48' });
    const times = { fetchedMs: null, downMs: 1, revertedMs: null, wallS: 0 };
    const line = { tx: 7, component: 'app', from: '1.0.49', to: '1.0.48', outcome: 'committed', reason: null } as const;
    writeHistory(appliance.files, layout, { ...line, ...times, text: '1.0.49 → 1.0.48: went back to 1.0.48' });
    expect(answerEnded(appliance, idleState({ lastTx: 7 }))).toBe(true);
    await publishStatus(appliance, idleState({ lastTx: 7 }));
    expect(answer()).toEqual({ id, outcome: 'done', text: 'Went back to 1.0.48.' });
  });
});

describe('a form that was open for long', () => {
  it('brings the version that it names, or none', async () => {
    const { appliance } = testAppliance(layout);
    const id = asks({ kind: 'rollback', manifest: digestOf('e') });
    await runUpdater(appliance, idleState(), false);
    expect(answer()).toMatchObject({
      id,
      outcome: 'refused',
      code: 'version-changed',
      text: expect.stringContaining('1.0.48'),
    });
  });

  it('lifts the quarantine of the release that it names, or none', async () => {
    const { appliance } = testAppliance(layout);
    const id = asks({ kind: 'retry', manifest: digestOf('e') });
    const after = await runUpdater(appliance, idleState({ quarantine: [left] }), false);
    expect(after.quarantine).toEqual([left]);
    expect(answer()).toMatchObject({ id, outcome: 'refused', code: 'not-quarantined' });
  });

  it('lifts that of the newest failed trial where none is named, and never what a person left on purpose', async () => {
    const { appliance } = testAppliance(layout);
    const byHand: Quarantined = { manifest: digestOf('d'), version: '1.0.51', reason: 'by hand', verdict: 'by-hand' };
    asks({ kind: 'retry' });
    const after = await runUpdater(appliance, idleState({ quarantine: [left, byHand] }), false);
    expect(after.quarantine).toEqual([byHand]);
    const id = asks({ kind: 'retry' });
    expect((await runUpdater(appliance, after, false)).quarantine).toEqual([byHand]);
    expect(answer()).toMatchObject({
      id,
      outcome: 'refused',
      code: 'version-needed',
      text: expect.stringContaining('holdfast-updater retry 1.0.51'),
    });
  });

  it('changes the network path that it showed, or none', async () => {
    const { appliance } = testAppliance(layout);
    await publishStatus(appliance, idleState());
    const { sourcesShown } = statusOn(layout);
    const change = (rate: number) => ({ kind: 'set-sources', sources: { rateBytesPerS: rate }, shown: sourcesShown });
    asks(change(50_000));
    await runUpdater(appliance, idleState(), false);
    expect(answer()).toMatchObject({ outcome: 'done' });
    const id = asks(change(60_000));
    await runUpdater(appliance, idleState(), false);
    expect(answer()).toMatchObject({ id, outcome: 'refused', code: 'sources-changed' });
    expect(statusOn(layout).sources?.rateBytesPerS).toBe(50_000);
  });

  it('says which release may be tried again, and what came of it', async () => {
    const appliance = await served({});
    asks({ kind: 'retry', manifest: left.manifest });
    await runUpdater(appliance, idleState({ quarantine: [left] }), false);
    expect(answer()?.text).toMatch(/^1\.0\.52 may be tried again; nothing new/i);
  });
});
