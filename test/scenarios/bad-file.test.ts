import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExecaError } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { realFiles } from '../../updater/effects/files.ts';
import { highestOf } from '../story/checks.ts';
import type { ReadingsSeen } from '../story/observations.ts';
import { acknowledged, historyOf, readings } from '../story/outside.ts';
import { type BundlePlaces, placesIn } from '../support/bad-input/damage.ts';
import { MisbehavingProxy } from '../support/bad-input/misbehaving-proxy.ts';
import { halfWritten, isCommittedSound, stateOf, statusOf } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { Builder, thinRuntime } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

const name = 'quay';

const dir = mkdtempSync(join(tmpdir(), 'holdfast-bad-file-'));
const stick = join(dir, 'stick');
const runtime = thinRuntime(join(dir, 'thin'));
const world = new World(dir, runtime);

/** Made in the set-up; the appliance has no network from then on. */
interface Scene {
  readonly box: ApplianceBox;
  readonly places: BundlePlaces;
  readonly before: ReadingsSeen;
  readonly proxy: MisbehavingProxy;
}
const scene: { now: Scene | null } = { now: null };
const file = (called: string) => join(stick, called);
const good = file('app-1.0.54.hfb');

function here(): Scene {
  if (scene.now === null) throw new Error('the set-up did not end');
  return scene.now;
}

const problemShape = z.object({ code: z.string(), message: z.string(), next: z.string() });

/** `holdfast-updater install FILE --json`: its exit status, and what it says. */
async function install(path: string): Promise<{ status: number; problem: z.infer<typeof problemShape> | null }> {
  try {
    await here().box.updaterProgram(['install', path, '--json']);
    return { status: 0, problem: null };
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    const last = String(error.stderr).trim().split('\n').at(-1) ?? '';
    return { status: error.exitCode ?? -1, problem: problemShape.parse(JSON.parse(last)) };
  }
}

/** The good bundle with one bit changed. */
function flipped(called: string, where: keyof BundlePlaces): string {
  const bytes = readFileSync(good);
  const position = here().places[where];
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(file(called), bytes);
  return file(called);
}

function written(called: string, bytes: Buffer): string {
  writeFileSync(file(called), bytes);
  return file(called);
}

const cases: readonly { name: string; codes: readonly string[]; bring: () => string }[] = [
  { name: 'a file that is not there', codes: ['no-file'], bring: () => file('nothing.hfb') },
  { name: 'a directory', codes: ['file-unreadable'], bring: () => stick },
  { name: 'an empty file', codes: ['truncated'], bring: () => written('empty.hfb', Buffer.alloc(0)) },
  {
    name: 'a file that is no bundle',
    codes: ['not-a-bundle'],
    bring: () => written('holiday.hfb', Buffer.alloc(100_000, 'holiday ')),
  },
  {
    name: 'a bundle that was cut off',
    codes: ['truncated'],
    bring: () => written('cut.hfb', readFileSync(good).subarray(0, -5_000)),
  },
  { name: 'a flipped bit in a header', codes: ['not-a-bundle'], bring: () => flipped('header.hfb', 'header') },
  { name: 'a flipped bit in a root', codes: ['tuf-mismatch'], bring: () => flipped('root.hfb', 'root') },
  {
    name: 'a flipped bit in the targets',
    codes: ['tuf-mismatch', 'tuf-threshold', 'tuf-malformed'],
    bring: () => flipped('targets.hfb', 'targets'),
  },
  {
    name: 'a flipped bit in the manifest',
    codes: ['wrong-manifest', 'bad-bundle'],
    bring: () => flipped('manifest.hfb', 'manifest'),
  },
  { name: 'a flipped bit in a chunk', codes: ['bad-chunk'], bring: () => flipped('chunk.hfb', 'chunk') },
  { name: 'a flipped bit behind the end', codes: ['bad-bundle'], bring: () => flipped('trailer.hfb', 'trailer') },
  { name: 'a release that was revoked', codes: ['revoked'], bring: () => file('app-1.0.53.hfb') },
  {
    name: 'a release of another operator',
    codes: ['tuf-mismatch', 'tuf-threshold'],
    bring: () => file('foreign-app-1.0.52.hfb'),
  },
];

beforeAll(async () => {
  mkdirSync(stick);
  await world.found('1.0.49', 0.5);
  const { builder } = world;
  const foreign = new Builder(join(dir, 'foreign'), world.server.publicKeys, runtime).app('1.0.52');
  const online = await builder.app('1.0.52');
  const revoked = await builder.app('1.0.53');
  await builder.revoke('app', '1.0.53');
  const newest = await builder.app('1.0.54');
  await world.publish(online, newest);
  const bring = { 'foreign-app-1.0.52.hfb': await foreign, 'app-1.0.53.hfb': revoked, 'app-1.0.54.hfb': newest };
  for (const [called, { path }] of Object.entries(bring)) copyFileSync(path, file(called));
  const proxy = new MisbehavingProxy(world.server.url);
  await proxy.start();
  const trial = { healthyMs: 300, deadlineMs: patienceMs };
  const box = await world.addAppliance(name, { timerMs: 3_000, trial, settings: { sampleMs: 100 } }, proxy.url);
  await box.powerOn();
  await world.server.startRollout('1.0.52', [name]);
  await until('1.0.52 arrives', patienceMs, () => (statusOf(box).agent.version === '1.0.52' ? true : null));
  await until('the updater rests', patienceMs, () => (stateOf(box).row === 'idle' ? true : null));
  const before = await readings(world, name, highestOf(await acknowledged(world, name)));
  scene.now = { box, places: await placesIn(good, box.layout), before, proxy };
  await proxy.stop();
});

afterAll(async () => {
  await world.end();
  await scene.now?.proxy.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('install FILE, without a network', () => {
  it.each(cases)(
    'refuses $name with a code, a sentence and exit status 1, and nothing is changed',
    async ({ codes, bring }) => {
      const { box } = here();
      const [pid, before] = [box.agentPid(), stateOf(box)];
      const { status, problem } = await install(bring());
      expect(status).toBe(1);
      expect(codes).toContain(problem?.code);
      expect(problem?.message).toMatch(/^.{20,}$/s);
      expect(problem?.message).not.toContain(box.layout.work);
      expect(pid).not.toBeNull();
      expect(box.agentPid()).toBe(pid);
      const { lastTx: _one, ...after } = stateOf(box);
      const { lastTx: _other, ...was } = before;
      expect(after).toEqual(was);
      expect(isCommittedSound(box)).toBe(true);
      expect(halfWritten(box)).toEqual([]);
      // A stick that is tried again and again must not fill the disk.
      expect(realFiles.list(box.layout.work).filter((one) => one.startsWith('upload-'))).toEqual([]);
    },
  );

  it('installs the good file all the same', async () => {
    const { box, proxy } = here();
    expect(await install(good)).toEqual({ status: 0, problem: null });
    expect(stateOf(box).app).toMatchObject({ committed: { version: '1.0.54' }, previous: { version: '1.0.52' } });
    expect(statusOf(box).agent).toMatchObject({ alive: true, version: '1.0.54' });
    expect((await historyOf(box)).at(-1)).toMatchObject({ to: '1.0.54', outcome: 'committed' });
    expect(realFiles.list(box.layout.work).filter((one) => one.startsWith('upload-'))).toEqual([]);
    await proxy.start();
  });

  it('changes nothing where that very release runs already: the version before stays', async () => {
    const { box } = here();
    const [pid, before, told] = [box.agentPid(), stateOf(box), (await historyOf(box)).length];
    const plan = z.object({ outcome: z.string(), sentence: z.string() });
    expect(plan.parse(JSON.parse((await box.updaterProgram(['plan', good, '--json'])).stdout))).toEqual({
      outcome: 'nothing',
      sentence: 'Nothing to do: 1.0.54 is what runs; install would change nothing.',
    });
    expect((await box.updaterProgram(['install', good])).stdout).toContain('1.0.54 is what runs; nothing was changed');
    expect([box.agentPid(), stateOf(box), (await historyOf(box)).length]).toEqual([pid, before, told]);
  });
});
