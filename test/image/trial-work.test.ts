import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emitProgram } from '../../image/emit.ts';
import { type FrozenState, readFrozenStates, statesDirectory } from '../../image/trial/frozen-states.ts';
import { findGround, type TrialGround } from '../../image/trial/trial-root.ts';
import { tryOrders } from '../../image/trial/trial-start.ts';
import { patienceMs } from '../support/world/wait.ts';
import { checkout, nodeBinary, type TemporaryDirectory, temporaryDirectory } from './fixture-tree.ts';

let directory: TemporaryDirectory;
let states: FrozenState[];
let ground: TrialGround;
beforeAll(async () => {
  directory = await temporaryDirectory();
  states = await readFrozenStates(statesDirectory(checkout));
  ground = await findGround();
});
afterAll(() => directory[Symbol.asyncDispose]());

const bounds = { upMs: patienceMs, ordersMs: patienceMs, watchMs: 0, turns: 1, stopMs: patienceMs };

/** A release with the duty `read`, whose work is this expression, and a check. `atLoad` is done as the module is loaded. */
async function tried(name: string, work: string, atLoad = '') {
  const makerDir = join(directory.path, name);
  await mkdir(makerDir);
  const source = `
    import { isMainThread } from 'node:worker_threads';
    import { defineCheck, defineDuty } from 'holdfast/agent';
    export const read = defineDuty({ name: 'read', schedule: { everyMs: 3_600_000 }, run: () => ${work} });
    export const fresh = defineCheck({
      name: 'fresh',
      everyMs: 3_600_000,
      run: () => ({ status: 'ok', sentence: 'It is.' }),
    });
    ${atLoad}`;
  await writeFile(join(makerDir, 'index.ts'), source);
  const payloadDir = join(directory.path, `${name}-payload`);
  const version = '2.0.0';
  const release = { component: 'app', version, commit: 'test', node: nodeBinary, sourceDir: checkout } as const;
  const { entry } = await emitProgram({ ...release, makerDir, outDir: payloadDir });
  return tryOrders({ payloadDir, entry, version, node: nodeBinary, reads: { min: 0, max: 1 }, states, ground, bounds });
}

describe("a maker's work at the trial start", () => {
  it('is run once, each duty and each check', async () => {
    expect(await tried('sound', '42')).toMatchObject({
      outcome: 'came-up',
      work: [
        { name: 'read', error: '' },
        { name: 'fresh', error: '' },
      ],
    });
  });

  it('may fail for want of what only an appliance has, and that is said', async () => {
    const work = "{ throw new Error('there is no meter here'); }";
    expect(await tried('no-meter', work)).toMatchObject({
      outcome: 'came-up',
      work: [
        { name: 'read', error: expect.stringMatching(/^threw: Error: there is no meter here/) },
        { name: 'fresh', error: '' },
      ],
    });
  });

  it.each([
    ['ends its thread', 'process.exit(4)', '', /read cannot run in it: ended: .*\(4\)/],
    ['is not there in a thread', '42', "if (!isMainThread) throw new Error('main only');", /not-loaded: .*main only/],
  ])('that %s keeps the release from being built', async (name, work, atLoad, words) => {
    await expect(tried(name.replaceAll(' ', '-'), work, atLoad)).rejects.toMatchObject({
      code: 'trial-start-failed',
      message: expect.stringMatching(words),
    });
  });
});
