import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StateBody } from '../../protocol/state-record.ts';
import { bootsMax } from '../../updater/launch/table.ts';
import { loadState } from '../../updater/record/state-store.ts';
import { type DiskState, imageOf, settledDisk } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { beforeOf, brokenInvariants } from './invariants.ts';
import { type Kind, kindsOf } from './kinds.ts';
import { HealthSocket } from './model-agent.ts';
import { ModelAppliance, modelLayout } from './model-appliance.ts';
import { makeScenes, volatile } from './scenes.ts';

/** Whatever the clock says, and however often the power goes: the production loop and launch, on a disk in memory. */
const directory = mkdtempSync(join(tmpdir(), 'hfc-'));
const layout = modelLayout(join(directory, 'agent.sock'));
let socket: HealthSocket;
let kinds: Kind[];
beforeAll(async () => {
  socket = await HealthSocket.listen(join(directory, 'agent.sock'));
  kinds = kindsOf(await makeScenes(layout, socket), layout, socket);
});
afterAll(async () => {
  await socket.close();
  rmSync(directory, { recursive: true });
});

const kindOf = (name: string): Kind => {
  const kind = kinds.find((one) => one.name === name);
  if (kind === undefined) throw new RangeError(name);
  return kind;
};
const seconds = (text: string) => Date.parse(text) / 1000;
const transactions = [
  'install from file',
  'update from the server',
  'failed trial',
  'failed trial from the server',
  'rollback by hand',
  'closing',
] as const;

interface Ended {
  readonly state: StateBody;
  readonly lines: readonly string[];
  readonly broken: readonly string[];
}

/** One kind to its end, while `onLine` does something to the clock. */
async function ended(name: string, onLine: (appliance: ModelAppliance, line: string) => void): Promise<Ended> {
  const kind = kindOf(name);
  const files = new DiskFiles(kind.disk);
  const appliance = new ModelAppliance(files, 2, kind.around);
  onLine(appliance, 'begin');
  const before = beforeOf(files, kind);
  kind.act(appliance);
  appliance.onLine = (line) => onLine(appliance, line);
  const state = await appliance.comeToRest();
  return { state, lines: appliance.lines, broken: brokenInvariants(files, kind, before, appliance.agent) };
}

const clocks = [
  ['in 1970', 0],
  ['before 1970', -86_400],
  ['in 2038', 2 ** 31],
  ['in 2100', seconds('2100-01-01T00:00:00Z')],
] as const;

describe('a clock that', () => {
  const cases = clocks.flatMap(([when, wallS]) => transactions.map((name) => ({ when, wallS, name })));
  it.each(cases)('stands $when changes nothing about: $name', async ({ wallS, name }) => {
    const { state, broken } = await ended(name, (appliance) => {
      appliance.clock.wall = wallS;
    });
    expect(state.app.committed.version).toBe(kindOf(name).ends.committed);
    expect(broken).toEqual([]);
  });

  const steps = [
    ['forward by ten years', 3_650],
    ['back by ten years', -3_650],
    ['back to 1970', -30_000],
  ] as const;
  it.each(steps.flatMap(([how, days]) => transactions.slice(0, 5).map((name) => ({ how, days, name }))))(
    'steps $how in the trial changes nothing about: $name',
    async ({ days, name }) => {
      const usual = await ended(name, () => undefined);
      let stepped = 0;
      const { state, broken, lines } = await ended(name, ({ clock }, line) => {
        if (!line.startsWith('armed -> trial')) return;
        clock.wall += days * 86_400;
        stepped += 1;
      });
      expect(stepped).toBe(1);
      expect(broken).toEqual([]);
      expect(state).toEqual(usual.state);
      expect(lines.filter((line) => line.includes('->'))).toEqual(usual.lines.filter((line) => line.includes('->')));
    },
  );

  it('jumps with the whole machine, as after a suspend, gives no healthy time that nobody saw', async () => {
    const awake = await looksOfTrial(0);
    const asleep = await looksOfTrial(8 * 60 * 60_000);
    // Ten seconds with a look every 50 ms; of a gap two seconds count, however long it was.
    expect(awake).toBeGreaterThan(10_000 / 50);
    expect(awake - asleep).toBeGreaterThan(0);
    expect(awake - asleep).toBeLessThanOrEqual(2_000 / 50);
  });
});

/** Looks of the judge at a trial of ten seconds of healthy time, in which the machine sleeps once. */
async function looksOfTrial(gapMs: number): Promise<number> {
  const kind = kindOf('install from file');
  const around = { ...kind.around, trial: { healthyMs: 10_000, deadlineMs: 60_000 } };
  const appliance = new ModelAppliance(new DiskFiles(kind.disk), 2, around);
  kind.act(appliance);
  let looks = 0;
  let isTrial = false;
  const { delay } = appliance.clock;
  appliance.clock.delay = (ms) => {
    if (isTrial) looks += 1;
    if (isTrial && looks === 3) appliance.clock.nowMs += gapMs;
    return delay.call(appliance.clock, ms);
  };
  appliance.onLine = (line) => {
    isTrial = line.startsWith('armed -> trial') || (isTrial && !line.startsWith('trial ->'));
  };
  await appliance.comeToRest();
  return looks;
}

class PowerCut extends Error {}

/** What is left when the power goes, with everything that was asked for on the disk. */
function afterCut(files: DiskFiles): DiskState {
  const { seen, nextInode } = files.disk;
  return imageOf(settledDisk(seen, nextInode), [], [...volatile]);
}

describe('power cycles', () => {
  it('of a committed slot change nothing, fifty times (I9)', async () => {
    const kind = kindOf('first start');
    let disk = kindOf('closing').disk;
    const seen = new Set<string>();
    for (let boot = 10; boot < 60; boot += 1) {
      const files = new DiskFiles(disk);
      const appliance = new ModelAppliance(files, boot, kind.around);
      const state = await appliance.comeToRest();
      seen.add(JSON.stringify({ state, slot: appliance.agent.start?.slot, version: appliance.agent.start?.version }));
      disk = afterCut(files);
    }
    expect([...seen]).toHaveLength(1);
    expect([...seen][0]).toContain('"version":"1.0.52"');
  });

  it.each(['update from the server', 'install from file'])(
    'in a trial end inconclusive and never in quarantine: %s',
    async (name) => {
      const kind = kindOf(name);
      let disk = kind.disk;
      let cuts = 0;
      let lines: readonly string[] = [];
      for (let boot = 2; boot < 2 + 3 * bootsMax; boot += 1) {
        const files = new DiskFiles(disk);
        const appliance = new ModelAppliance(files, boot, kind.around);
        if (boot === 2) kind.act(appliance);
        // The power goes when the trial is seen to be on: the agent has been started by then.
        const isOn = () => loadState(files, layout).row === 'trial';
        const { delay } = appliance.clock;
        appliance.clock.delay = (ms) => {
          if (isOn() && appliance.agent.start !== null) throw new PowerCut();
          return delay.call(appliance.clock, ms);
        };
        lines = appliance.lines;
        try {
          await appliance.comeToRest();
          disk = afterCut(files);
          break;
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error;
          cuts += 1;
          disk = afterCut(files);
        }
      }
      expect(cuts).toBe(bootsMax);
      expect(lines.join('\n')).toMatch(
        /1\.0\.52 was rolled back, because its trial could not be judged \(inconclusive\)/,
      );
      const state = loadState(new DiskFiles(disk), layout);
      expect(state).toMatchObject({ row: 'idle', quarantine: [], app: { committed: { version: '1.0.49' } } });

      // It is tried again by itself where the server wants it, after a while and not at once.
      const again = new ModelAppliance(new DiskFiles(disk), 99, kind.around);
      await again.comeToRest();
      expect(again.lines.join('\n')).not.toContain('armed');
      again.clock.nowMs += 10 * 60_000;
      const later = await again.comeToRest();
      expect(later.app.committed.version).toBe(kind.around.served === null ? '1.0.49' : '1.0.52');
    },
  );

  it('and a record of tries that is lost in the trial end it inconclusive: nobody knows how often it was tried', async () => {
    const kind = kindOf('failed trial from the server');
    const files = new DiskFiles(kind.disk);
    const appliance = new ModelAppliance(files, 2, { ...kind.around, diesAfter: 1_000 });
    appliance.onLine = (line) => {
      if (!line.startsWith('armed -> trial')) return;
      for (const path of layout.launchRecords) {
        const handle = files.openWrite(path);
        files.write(handle, Buffer.alloc(4_096), 0);
        files.close(handle);
      }
    };
    const state = await appliance.comeToRest();
    expect(state).toMatchObject({ row: 'idle', quarantine: [], app: { committed: { version: '1.0.52' } } });
    expect(appliance.lines.join('\n')).toContain('the record of its tries was lost');
  });
});
