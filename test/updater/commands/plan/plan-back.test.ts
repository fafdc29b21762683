import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StateBody } from '../../../../protocol/state-record.ts';
import { snapshotDirectory } from '../../../../updater/agent-data/snapshot.ts';
import { lookBack } from '../../../../updater/commands/plan/look-back.ts';
import type { Plan } from '../../../../updater/commands/plan/plan.ts';
import { realFiles } from '../../../../updater/effects/files.ts';
import { filesUnchanged } from '../../../../updater/effects/files-unchanged.ts';
import { type BuiltRelease, makeReleaseFixture, type ReleaseFixture } from '../../../support/bundle-fixture.ts';
import { treeDigest } from '../../../support/hostile/tree-digest.ts';
import { fromFile, installFile, setUp } from '../../release/install.ts';
import { saveFirstState } from '../../support/record-appliance.ts';
import { named, RewrittenAppliance, state as rewritten, switched } from '../../support/rewritten-appliance.ts';
import { stateIn } from '../../support/states.ts';
import { testAppliance } from '../../support/test-appliance.ts';

/** The plan of going back, on an appliance whose previous version cannot read today's data. */
let fixture: ReleaseFixture;
let narrow: BuiltRelease;
let wide: BuiltRelease;
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  const build = (version: string, max: number) =>
    fixture.build({
      version,
      securityVersion: 1,
      files: { 'main.js': Buffer.from(`reads up to ${max}`) },
      compatibility: { state: { reads: { min: 1, max }, writes: 1 } },
    });
  narrow = await build('1.0.48', 1);
  wide = await build('1.0.47', 2);
});
afterAll(() => fixture[Symbol.dispose]());

let scene: RewrittenAppliance;
let state: StateBody;
beforeEach(async () => {
  scene = new RewrittenAppliance();
  setUp(fixture, scene.layout);
  await previousIs(narrow);
});

async function previousIs({ path, manifest, version }: BuiltRelease): Promise<void> {
  await installFile(scene.layout, path, '0', 1);
  const previous = { slot: '0', version, manifest, securityVersion: 1 } as const;
  state = { ...rewritten, app: { ...rewritten.app, previous } };
  saveFirstState(scene.layout, state);
}

/** A plan, and the proof that it left nothing behind. */
function plan(ageH: number | null, free?: number): Plan {
  const { appliance } = testAppliance(scene.layout);
  const before = treeDigest(scene.layout.root);
  const files = { ...filesUnchanged(realFiles), ...(free === undefined ? {} : { freeBytes: () => free }) };
  const made = lookBack({ ...appliance, files }, ageH);
  expect(treeDigest(scene.layout.root)).toBe(before);
  return made;
}
const rows = ({ steps }: Plan) => steps.map(({ row }) => row);
describe('a plan of going back', () => {
  it("with today's data walks the rows of a switch, and says what is copied", async () => {
    await previousIs(wide);
    const made = plan(null);
    expect(made).toMatchObject({
      outcome: 'plan',
      sentence: expect.stringContaining('1.0.47 would run again in place of 1.0.49, with its data of today'),
      reasons: [],
      release: { component: 'app', version: '1.0.47', from: '1.0.49', source: 'slot 0' },
      bytes: { toFetch: 0, written: 0 },
      trial: { healthyMs: 600_000, shortened: false },
    });
    expect(rows(made)).toEqual(['sealed', 'quiesced', 'snapped', 'armed', 'trial', 'committing']);
    const bytes = made.downtime?.stateBytes ?? 0;
    expect(bytes).toBeGreaterThan(1_000);
    expect(made.steps.find(({ row }) => row === 'snapped')?.bytes).toBe(bytes);
    expect(made.ifItFails).toContain('1.0.49 runs again from slot 1');
  });

  it('to data of before has a row more, and the age that was named', () => {
    const made = plan(named.ageH);
    expect(made).toMatchObject({ outcome: 'plan', sentence: expect.stringContaining("5d ago; today's data is put") });
    expect(rows(made)).toEqual(['sealed', 'quiesced', 'snapped', 'returning', 'armed', 'trial', 'committing']);
  });

  const flip = (path: string) => writeFileSync(path, 'x'.repeat(realFiles.stat(path)?.size ?? 0));
  const without = (change: Partial<StateBody>) => saveFirstState(scene.layout, { ...state, ...change });
  it.each<[code: string, age: number | null, prepare: () => unknown]>([
    ['state-not-readable', null, () => undefined],
    ['state-not-readable', null, () => rmSync(snapshotDirectory(scene.layout, switched), { recursive: true })],
    ['data-age', 7, () => undefined],
    ['data-readable', named.ageH, () => previousIs(wide)],
    ['data-damaged', named.ageH, () => flip(scene.inCopy('state.db'))],
    ['slot-damaged', named.ageH, () => flip(join(scene.layout.slot('app', '0'), 'main.js'))],
    ['no-previous', null, () => without({ app: { ...state.app, previous: null } })],
    ['floor', null, () => without({ floor: { app: 9, updater: 1 } })],
    ['in-flight', null, () => saveFirstState(scene.layout, stateIn('trial'))],
  ])('is refused with %s, a sentence and a next step', async (code, age, prepare) => {
    await prepare();
    const made = plan(age);
    expect(made).toMatchObject({ outcome: 'refused', steps: [], bytes: null, reasons: [{ code }] });
    expect(made.reasons[0]?.sentence).toMatch(/^\S.*\.$/s);
    expect(made.reasons[0]?.next.length).toBeGreaterThan(10);
  });

  it('waits for room for the copy of the state, before anything is stopped', () => {
    const made = plan(named.ageH, 1_000);
    expect(made).toMatchObject({ outcome: 'waits', reasons: [{ code: 'no-space' }] });
    expect(rows(made)).toHaveLength(7);
  });

  it('is refused once the previous version was revoked, with the code that a person is told who asks for it', async () => {
    const build = (version: string) =>
      fixture.build({
        version,
        securityVersion: 1,
        files: { 'main.js': Buffer.from(version) },
        compatibility: { state: { reads: { min: 1, max: 2 }, writes: 1 } },
      });
    const left = await build('1.0.46');
    await previousIs(left);
    expect(plan(null).outcome).toBe('plan');
    await fixture.revoke(left);
    (await fromFile(scene.layout, (await build('1.0.60')).path)).bundle.source.close();
    expect(plan(null)).toMatchObject({ outcome: 'refused', steps: [], bytes: null, reasons: [{ code: 'revoked' }] });
  });

  it('is unknown where the records are lost', () => {
    for (const path of scene.layout.stateRecords) writeFileSync(path, Buffer.alloc(4_096, 1));
    expect(plan(null)).toMatchObject({ outcome: 'unknown', steps: [] });
  });
});
