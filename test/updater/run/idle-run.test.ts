import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patient, trialOf } from '../../scenarios/scene.ts';
import { type Loaded, loadedBy } from '../../support/tracing/loaded.ts';
import type { ApplianceBox } from '../../support/world/appliance-box.ts';
import { thinRuntime } from '../../support/world/builder.ts';
import { patienceMs, until } from '../../support/world/wait.ts';
import { World } from '../../support/world/world.ts';

/** What an updater loads that finds nothing to do: it runs each minute, for years, beside the appliance's own work. */
const dir = mkdtempSync(join(tmpdir(), 'holdfast-idle-run-'));
const world = new World(dir, thinRuntime(join(dir, 'thin')));
const hourS = 3_600;
let box: ApplianceBox;
beforeAll(async () => {
  await world.found('1.0.52');
  box = await world.addAppliance('idle', {
    timerMs: hourS * 1_000,
    trial: trialOf(300),
    settings: { ...patient, sticks: [join(dir, 'no-stick')] },
  });
  await box.powerOn();
  await until('the first check-in', patienceMs, async () => (await box.status()).checkIn.last);
});
afterAll(async () => {
  await world.end();
  rmSync(dir, { recursive: true, force: true });
});

const slow = ['got', '@tufjs/models', 'tar', 'minimatch'];
const slowOfNode = ['node:http', 'node:https', 'node:tls', 'node:child_process'];

function slowOf({ packages, ofNode }: Loaded): string[] {
  return [...slow.filter((name) => packages.has(name)), ...slowOfNode.filter((name) => ofNode.has(name))];
}

const programOf = (directory: string) => [join(directory, 'main.js'), 'run', '--root', box.options.root];
const node = () => join(world.os, 'node');

/** Another updater at work would be the one that does it. */
async function idleRun(directory = join(world.os, 'updater')): Promise<Loaded> {
  return until('a run of its own', patienceMs, async () => {
    const loaded = await loadedBy(node(), programOf(directory));
    return loaded.stdout.includes('another updater is at work') ? null : loaded;
  });
}

/** What the server said last is that it wants to hear of this appliance in so many seconds. */
function asksAgainIn(seconds: number): void {
  const answer = join(box.layout.run, 'last-answer.json');
  writeFileSync(
    answer,
    JSON.stringify({ ...JSON.parse(readFileSync(answer, 'utf8')), nextInS: seconds, paceS: seconds }),
  );
}

/** The server has everything, and has asked to hear of this appliance in an hour: what comes is a local run. */
async function nothingIsDue(): Promise<void> {
  const { layout } = box;
  await until('the server has every event', patienceMs, async () => {
    await box.updaterProgram(['run']);
    // An appliance that nothing happened on has no such file.
    if (!existsSync(layout.events)) return true;
    return JSON.parse(readFileSync(layout.events, 'utf8')).waiting.length === 0 ? true : null;
  });
  asksAgainIn(hourS);
}

describe('an idle local run of the emitted updater', () => {
  it('loads neither what fetches, nor TUF, nor tar', async () => {
    await nothingIsDue();
    const loaded = await idleRun();
    expect(loaded.packages).toContain('zod');
    expect(slowOf(loaded)).toEqual([]);
  });

  it('loads them neither where there is a version to go back to', async () => {
    const next = await world.builder.unpatched('2.0.0');
    // A trial waits for the word of the server, which comes at its pace.
    asksAgainIn(1);
    await box.updaterProgram(['install', next.path]);
    expect((await box.status()).back?.version).toBe('1.0.52');
    await nothingIsDue();
    expect(slowOf(await idleRun())).toEqual([]);
    expect((await box.status()).back).toEqual({ version: '1.0.52', manifest: expect.any(String), refused: null });
  });

  it.each(['got', '@tufjs/models'])('is found to load %s where it does', async (name) => {
    const planted = join(dir, `planted-${name.replace('/', '-')}`);
    cpSync(join(world.os, 'updater'), planted, { recursive: true });
    const part = readdirSync(planted).find(
      (file) =>
        file.startsWith('part-') && readFileSync(join(planted, file), 'utf8').includes(`// node_modules/${name}/`),
    );
    const main = join(planted, 'main.js');
    const text = readFileSync(main, 'utf8');
    writeFileSync(main, text.replace('\n', `\nimport './${part}';\n`));
    expect(slowOf(await idleRun(planted))).toContain(name);
  });

  it('leaves no process behind', async () => {
    await idleRun();
    await until('nothing of it is resident', patienceMs, () =>
      box.processes('main.js run').length === 0 ? true : null,
    );
  });
});
