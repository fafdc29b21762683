import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import type { Installed, StateBody } from '../../../protocol/state-record.ts';
import { takeSnapshot } from '../../../updater/agent-data/snapshot.ts';
import { acceptanceOf, wayBack } from '../../../updater/choice/acceptance.ts';
import { replaceJson } from '../../../updater/effects/durable.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { takeRequest } from '../../../updater/requests/requests.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { closeWindow } from '../../../updater/transaction/window.ts';
import { type BuiltRelease, makeReleaseFixture, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { startReleaseServer } from '../../support/release-server.ts';
import { fromFile, fromServer, installFile, setUp } from '../release/install.ts';
import { saveFirstState, stateOn, statusOn } from '../support/record-appliance.ts';
import { killedAgentState } from '../support/state-database.ts';
import { events, idleState, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

let layout: Layout;
let fixture: ReleaseFixture;
let before: BuiltRelease;
let now: BuiltRelease;
let state: StateBody;

const installedAs = (
  slot: Installed['slot'],
  { version, manifest }: BuiltRelease,
  securityVersion: number,
): Installed => ({
  slot,
  version,
  manifest,
  securityVersion,
});
const build = (version: string, securityVersion = 1) =>
  fixture.build({ version, securityVersion, files: { 'main.js': Buffer.from(version) } });

/** Runs 1.0.54 from slot 1; 1.0.52, which is less secure, is kept in slot 0. */
beforeEach(async () => {
  layout = temporaryAppliance();
  fixture = await makeReleaseFixture();
  setUp(fixture, layout);
  before = await build('1.0.52', 1);
  now = await build('1.0.54', 2);
  await installFile(layout, before.path, '0', 1);
  await installFile(layout, now.path, '1', 2);
  state = idleState({
    app: { committed: installedAs('1', now, 2), previous: installedAs('0', before, 1) },
    floor: { app: 1, updater: 1 },
  });
  saveFirstState(layout, state);
});
afterEach(() => fixture[Symbol.dispose]());

/** A person asks; what they are told, and what the machine has to do. */
async function request(kind: 'rollback' | 'retry', from = state) {
  const { appliance } = testAppliance(layout);
  const id = randomUUID();
  realFiles.makeDirectory(layout.requests, 0o700);
  replaceJson(realFiles, `${layout.requests}/${id}.json`, { v: 1, id, kind }, 0o600);
  const event = await takeRequest(appliance, from);
  const answer: unknown = JSON.parse(readFileSync(`${layout.run}/last-request.json`, 'utf8'));
  return { event, answer };
}

/** The appliance learns by a file that a release was revoked. */
async function hearsThatRevoked(release: BuiltRelease): Promise<void> {
  await fixture.revoke(release);
  (await fromFile(layout, (await build('1.0.60')).path)).bundle.source.close();
}

describe('going back by hand', () => {
  it('is begun while the previous version is listed', async () => {
    expect(await request('rollback')).toMatchObject({ event: { kind: 'return' }, answer: { outcome: 'begun' } });
  });

  it('is refused once the previous version was revoked, and what runs goes on (I7)', async () => {
    await hearsThatRevoked(before);
    expect(await request('rollback')).toMatchObject({
      event: null,
      answer: { outcome: 'refused', code: 'revoked', text: expect.stringContaining('1.0.54 continues to run') },
    });
  });

  it('is refused below the floor, whoever raised it', async () => {
    const raised = { ...state, floor: { app: 2, updater: 1 } };
    expect(await request('rollback', raised)).toMatchObject({ event: null, answer: { code: 'floor' } });
  });

  it('is not refused because what runs was revoked', async () => {
    await hearsThatRevoked(now);
    expect(await request('rollback')).toMatchObject({ event: { kind: 'return' } });
  });

  it('is possible while nobody has said what is listed', async () => {
    realFiles.unlink(`${layout.trust}/targets.json`);
    expect(wayBack(testAppliance(layout).appliance, state)).toMatchObject({ kind: 'open' });
  });

  it('is told in the status before anybody asks for it', async () => {
    const { appliance } = testAppliance(layout);
    await publishStatus(appliance, state);
    const manifest = state.app.previous?.manifest;
    expect(statusOn(layout).back).toEqual({ version: '1.0.52', manifest, refused: null });
    await hearsThatRevoked(before);
    await publishStatus(appliance, state);
    expect(statusOn(layout).back).toMatchObject({ version: '1.0.52', refused: { code: 'revoked' } });
  });
});

describe("the judge's own rollback", () => {
  it('goes back to the committed version although it was revoked since (I7)', async () => {
    await hearsThatRevoked(now);
    killedAgentState(layout, 3);
    const reverting = stateIn('reverting', state);
    takeSnapshot(realFiles, layout, reverting.lastTx, 1024 ** 2, null);
    saveFirstState(layout, reverting);
    const { appliance, processes } = testAppliance(layout);
    await runUpdater(appliance, reverting, false);
    expect(stateOn(layout)).toMatchObject({ row: 'idle', app: { committed: { version: '1.0.54' } } });
    expect(processes.orders.at(-1)).toBe('start');
  });
});

describe('the floor', () => {
  it('keeps what is below it out, from the network as from a file', async () => {
    const low = await build('1.0.61', 0);
    fixture.publish([low]);
    await using server = await startReleaseServer(fixture.servedDir);
    const acceptance = acceptanceOf(testAppliance(layout).appliance, state, true);
    await expect(fromServer(layout, server.base, low, acceptance)).rejects.toMatchObject({ code: 'floor' });
    await expect(fromFile(layout, low.path, acceptance)).rejects.toMatchObject({ code: 'floor' });
  });

  it('does not rise in a trial, nor when the trial is rolled back', () => {
    for (const row of ['armed', 'trial', 'committing', 'reverting'] as const) {
      expect(stateIn(row, state).floor.app).toBe(1);
    }
    expect(next(stateIn('reverting', state), events.reverted).floor.app).toBe(1);
  });

  it('rises at the commit to the lower of the new version and the one that is kept, never to the higher', () => {
    const committing = stateIn('committing', { ...state, app: { ...state.app, committed: installedAs('1', now, 5) } });
    expect(next(committing, events.committed).floor.app).toBe(2);
    const higher = stateIn('committing', state);
    const transaction = higher.transaction === null ? null : { ...higher.transaction, securityVersion: 9 };
    expect(next({ ...higher, transaction }, events.committed).floor.app).toBe(2);
  });

  it('does not fall when a person goes back, nor rise above what they went back to', () => {
    const returning = next(state, events.return);
    const committed = next({ ...returning, row: 'committing' }, events.committed);
    expect([committed.app.committed.version, committed.floor.app]).toEqual(['1.0.52', 1]);
    const closed = next({ ...committed, row: 'closing' }, events.closed);
    expect(closed.floor.app).toBe(1);
  });

  it('rises when the window closes, and then nobody can go back any more', async () => {
    const { appliance } = testAppliance(layout);
    const closing = next(state, events['window-ended']);
    expect(closing.floor.app).toBe(1);
    closeWindow(appliance, closing);
    const closed = next(closing, events.closed);
    expect(closed.floor.app).toBe(2);
    expect(realFiles.stat(`${layout.slot('app', '0')}/.seal`)).toBeNull();
    expect(await request('rollback', closed)).toMatchObject({ event: null, answer: { code: 'no-previous' } });
    const acceptance = acceptanceOf(appliance, closed, true);
    await expect(fromFile(layout, before.path, acceptance)).rejects.toMatchObject({ code: 'floor' });
  });
});

describe('a quarantined release', () => {
  const inQuarantine = (release: BuiltRelease): StateBody => ({
    ...state,
    quarantine: [{ manifest: release.manifest, version: release.version, reason: 'trial', verdict: 'stalled' }],
  });

  it('is not installed automatically, and is taken by a person who names its file', async () => {
    const failed = await build('1.0.61');
    const { appliance } = testAppliance(layout);
    const itself = acceptanceOf(appliance, inQuarantine(failed), false);
    await expect(fromFile(layout, failed.path, itself)).rejects.toMatchObject({ code: 'quarantined' });
    const person = await fromFile(layout, failed.path, acceptanceOf(appliance, inQuarantine(failed), true));
    person.bundle.source.close();
    expect(person.manifest.version).toBe('1.0.61');
  });

  it('is taken again after a retry', async () => {
    const failed = await build('1.0.61');
    const { event } = await request('retry', inQuarantine(failed));
    expect(event).toEqual({ kind: 'lift', manifest: failed.manifest });
    const lifted = next(inQuarantine(failed), { kind: 'lift', manifest: failed.manifest });
    const { appliance } = testAppliance(layout);
    const again = await fromFile(layout, failed.path, acceptanceOf(appliance, lifted, false));
    again.bundle.source.close();
    expect(again.manifest.version).toBe('1.0.61');
  });
});
