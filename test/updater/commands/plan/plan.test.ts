import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../../protocol/layout.ts';
import type { StateBody } from '../../../../protocol/state-record.ts';
import { lookAhead } from '../../../../updater/commands/plan/look-ahead.ts';
import type { Plan } from '../../../../updater/commands/plan/plan.ts';
import { planText } from '../../../../updater/commands/plan.ts';
import { realFiles } from '../../../../updater/effects/files.ts';
import { filesUnchanged } from '../../../../updater/effects/files-unchanged.ts';
import { writeHistory } from '../../../../updater/outcome/history.ts';
import { type BuiltRelease, makeReleaseFixture, noise, type ReleaseFixture } from '../../../support/bundle-fixture.ts';
import { treeDigest } from '../../../support/hostile/tree-digest.ts';
import { type ReleaseServer, startReleaseServer } from '../../../support/release-server.ts';
import { setUp } from '../../release/install.ts';
import { saveFirstState } from '../../support/record-appliance.ts';
import { digestOf, idleState, stateIn } from '../../support/states.ts';
import { temporaryAppliance } from '../../support/temporary-appliance.ts';
import { testAppliance } from '../../support/test-appliance.ts';

let fixture: ReleaseFixture;
let server: ReleaseServer;
let wanted: BuiltRelease;
let demanding: BuiltRelease;
const files = { 'main.js': noise('main', 40_000), 'lib/part.js': noise('part', 15_000) };
const runtime = { 'bin/node': noise('node', 5_000) };
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  wanted = await fixture.build({ version: '1.0.52', files, runtime, securityVersion: 1 });
  demanding = await fixture.build({
    version: '3.0.0',
    files,
    runtime,
    securityVersion: 1,
    compatibility: { updater: '9.0.0' },
  });
  fixture.publish([wanted, demanding]);
  server = await startReleaseServer(fixture.servedDir);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  fixture[Symbol.dispose]();
});

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  for (const path of [layout.run, layout.runtimes, layout.slots, layout.agent]) mkdirSync(path, { recursive: true });
  setUp(fixture, layout);
  saveFirstState(layout, idleState());
  serverWants(wanted);
});

function serverWants(release: BuiltRelease | null, changes: object = {}, answered = true): void {
  const named = release === null ? null : { component: 'app', version: release.version, manifest: release.manifest };
  const desired = { release: named, path: '/releases', openForS: 600, reasons: ['nobody decided'], ...changes };
  const at = answered ? { boot: 'b', monoMs: 1, wallS: 1 } : null;
  const error = answered ? null : { code: 'unreachable', message: 'nobody answers', next: 'check the cable' };
  const answer = { etag: null, desired, nextInS: 60, boot: 'b', triedMs: 0, answered: at, failures: 0, error };
  writeFileSync(join(layout.run, 'last-answer.json'), JSON.stringify(answer));
}

/** A plan, and the proof that it left nothing behind. */
async function plan(file: string | null = null, url = server.base.replace(/\/releases\/?$/, '')): Promise<Plan> {
  const { appliance } = testAppliance(layout);
  const before = treeDigest(layout.root);
  const shadow = { ...appliance, files: filesUnchanged(realFiles), identity: { ...appliance.identity, url } };
  const made = await lookAhead(shadow, file);
  expect(treeDigest(layout.root)).toBe(before);
  return made;
}
const codes = ({ reasons }: Plan) => reasons.map(({ code }) => code);

describe('a plan', () => {
  it('walks the whole table, with the bytes of each row, and changes nothing on the disk', async () => {
    writeFileSync(layout.stateDb, Buffer.alloc(5_000));
    const made = await plan();
    expect(made).toMatchObject({
      outcome: 'plan',
      release: { version: '1.0.52', manifest: wanted.manifest, from: '1.0.49', source: 'server /releases' },
      bytes: { written: 60_000, reused: 0 },
      downtime: { expectedMs: null, measured: 0, stateBytes: 5_000 },
      trial: { healthyMs: 600_000, shortened: false },
    });
    const rows = ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing'];
    expect(made.steps.map(({ row }) => row)).toEqual(rows);
    expect(made.steps.find(({ row }) => row === 'writing')).toMatchObject({ slot: '2', files: 3, bytes: 60_000 });
    expect(made.bytes?.toFetch).toBeGreaterThan(59_000); // noise does not compress
    expect(made.ifItFails).toContain('1.0.49 runs again from slot 1');
  });

  it('of a file fetches nothing, and does not ask the server', async () => {
    const asked = server.requests.length;
    const made = await plan(wanted.path);
    expect(made).toMatchObject({ outcome: 'plan', bytes: { toFetch: 0, written: 60_000 } });
    expect(server.requests).toHaveLength(asked);
  });

  it('expects the downtime that was measured here: the median of the last switches', async () => {
    [900, 100, 300].forEach((downMs, tx) => {
      const line = { tx, component: 'app', from: '1.0.1', to: '1.0.2', outcome: 'committed', reason: null } as const;
      writeHistory(realFiles, layout, { ...line, text: '', fetchedMs: 1, downMs, revertedMs: null, wallS: 1 });
    });
    expect((await plan()).downtime).toMatchObject({ expectedMs: 300, measured: 3 });
  });

  it('is nothing to do where what is wanted runs, and where the server wants nothing, with its reasons', async () => {
    serverWants({ ...wanted, manifest: digestOf('b') });
    expect(await plan()).toMatchObject({ outcome: 'nothing', reasons: [] });
    serverWants(null);
    const held = { code: 'held', sentence: 'Nobody decided.' };
    expect(await plan()).toMatchObject({ outcome: 'nothing', reasons: [held] });
  });

  const inQuarantine = () => [
    { manifest: wanted.manifest, version: '1.0.52', reason: 'trial' as const, verdict: 'stalled' as const },
  ];
  it('names the quarantine where the server, which knows of it, offers nothing', async () => {
    saveFirstState(layout, idleState({ quarantine: inQuarantine() }));
    const reasons = ['app 1.0.52 is in quarantine here: it was tried and did not prove itself'];
    serverWants(null, { reasons });
    const made = await plan();
    expect(made).toMatchObject({ outcome: 'nothing', reasons: [{ code: 'quarantined' }] });
    expect(made.sentence).toContain('1.0.52 was rolled back');
    expect(JSON.stringify(made)).not.toContain('The server decides that');
  });

  const refused: readonly (readonly [code: string, state: () => StateBody, prepare: () => void])[] = [
    ['in-flight', () => stateIn('trial'), () => undefined],
    ['floor', () => idleState({ floor: { app: 2, updater: 1 } }), () => undefined],
    ['incompatible', () => idleState(), () => serverWants(demanding)],
    ['wrong-manifest', () => idleState(), () => serverWants({ ...wanted, manifest: digestOf('9') })],
    ['revoked', () => idleState(), () => serverWants({ ...wanted, version: '1.0.51', manifest: digestOf('9') })],
    [
      'backing-off',
      () => idleState(),
      () => {
        const note = { manifest: wanted.manifest, times: 1, boot: 'another', atMs: 0, text: 'it did not fit' };
        writeFileSync(layout.refused, JSON.stringify(note));
      },
    ],
  ];
  const nothing: readonly (readonly [code: string, state: () => StateBody, prepare: () => void])[] = [
    ['quarantined', () => idleState({ quarantine: inQuarantine() }), () => undefined],
    [
      'held-here',
      () => idleState(),
      () => serverWants(wanted, { release: { component: 'os', version: '13.0.0', manifest: wanted.manifest } }),
    ],
  ];
  it.each(nothing)('is nothing to do with %s, and a next step', async (code, state, prepare) => {
    saveFirstState(layout, state());
    prepare();
    const made = await plan();
    expect(made).toMatchObject({ outcome: 'nothing', steps: [], bytes: null });
    expect(codes(made)).toEqual([code]);
    expect(made.reasons[0]?.next.length).toBeGreaterThan(10);
    // Its sentence stands once.
    expect(planText(made).split(made.sentence)).toHaveLength(2);
  });

  it.each(refused)('is refused with %s, a sentence and a next step', async (code, state, prepare) => {
    saveFirstState(layout, state());
    prepare();
    const made = await plan();
    expect(made).toMatchObject({ outcome: 'refused', steps: [], bytes: null });
    expect(codes(made)).toEqual([code]);
    expect(made.reasons[0]?.sentence).toMatch(/^\S.*\.$/);
    expect(made.reasons[0]?.next.length).toBeGreaterThan(10);
  });

  it('is refused where there is no room, which a full disk in place of the real one says', async () => {
    const { appliance } = testAppliance(layout);
    const full = { ...filesUnchanged(realFiles), freeBytes: () => 1_000 };
    const url = server.base.replace(/\/releases\/?$/, '');
    const made = await lookAhead({ ...appliance, files: full, identity: { ...appliance.identity, url } }, null);
    expect([made.outcome, ...codes(made)]).toEqual(['refused', 'no-space']);
  });

  it('is refused for what is no bundle, and for a file that is not there', async () => {
    const path = join(layout.root, 'no-bundle.hfb');
    writeFileSync(path, Buffer.alloc(10_000, 'no bundle'));
    expect(codes(await plan(path))).toEqual(['not-a-bundle']);
    expect(codes(await plan('/nowhere/at-all.hfb'))).toEqual(['no-file']);
  });

  it('is unknown where the server was not reached, is not reached now, or the records are lost', async () => {
    serverWants(wanted, {}, false);
    expect(await plan()).toMatchObject({ outcome: 'unknown', reasons: [{ code: 'unreachable' }] });
    serverWants(wanted);
    expect(await plan(null, 'http://127.0.0.1:9')).toMatchObject({ outcome: 'unknown', bytes: null });
    for (const path of layout.stateRecords) writeFileSync(path, Buffer.alloc(4_096, 1));
    expect(await plan()).toMatchObject({ outcome: 'unknown', steps: [] });
  });
});

describe('a closed window', () => {
  let agent: Server;
  const nonce = 'a'.repeat(64);
  beforeEach(async () => {
    mkdirSync(layout.agentRun, { recursive: true });
    const launched = layout.launchedComponent('app');
    mkdirSync(launched, { recursive: true });
    const start = {
      nonce,
      slot: '1',
      manifest: digestOf('b'),
      version: '1.0.49',
      stateDir: layout.agent,
      entry: 'main.js',
      runtimeEntry: null,
    };
    writeFileSync(join(launched, 'start.json'), JSON.stringify(start));
    const state = { schema: 0, migrated: true };
    const health = { proto: 1, nonce, version: '1.0.49', progress: 1, state, checks: {}, server: 'ok' };
    agent = createServer((socket) => socket.end(JSON.stringify(health)));
    await new Promise<void>((resolve) => agent.listen(layout.agentSocket, resolve));
  });
  afterEach(() => new Promise((resolve) => agent.close(resolve)));

  it('is waited for where the agent is healthy: the plan says so, and has all of its steps', async () => {
    serverWants(wanted, { openForS: 0 });
    const made = await plan();
    expect([made.outcome, ...codes(made)]).toEqual(['waits', 'window-closed']);
    expect(made.steps).toHaveLength(9);
    // A person's file waits for nothing.
    expect(await plan(wanted.path)).toMatchObject({ outcome: 'plan', reasons: [] });
  });
});
