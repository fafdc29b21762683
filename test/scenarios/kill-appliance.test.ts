import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Findings } from '../support/killing/findings.ts';
import { type Begun, Lane, type Seen } from '../support/killing/lane.ts';
import { askUpdater, isCommittedSound, lostEvents, stateOf } from '../support/killing/look.ts';
import { agentAfter, killAgent, killLaunch, setTrial } from '../support/killing/victims.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { type Built, thinRuntime } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

const paceS = 0.5;
/** Healthy time: enough that 1.0.53 stands still before it is over; and as short as can be for a good release. */
const trialMs = { good: 300, failing: 5_000 } as const;

const victims = ['the agent', 'launch', 'everything at once', 'the server'] as const;
type Victim = (typeof victims)[number];
const rows = ['fetching', 'armed', 'trial', 'reverting'] as const;

interface Case {
  readonly victim: Victim;
  readonly row: (typeof rows)[number];
}

const cases: readonly Case[] = victims.flatMap((victim) => rows.map((row) => ({ victim, row })));

interface Bundles {
  readonly good: readonly [Built, Built];
  readonly bad: Built;
}

const dir = mkdtempSync(join(tmpdir(), 'holdfast-kill-appliance-'));
const world = new World(dir, thinRuntime(join(dir, 'thin')));
const lanes: Lane[] = [];
const findings = new Findings<Case, Seen>(cases);

/** Something of the appliance dies while its updater stands still in a row; what happens when it goes on is its own affair. */
type Strike = (lane: Lane, begun: Begun) => Promise<void>;

const strikes: Readonly<Record<Exclude<Victim, 'the server'>, Readonly<Record<Case['row'], Strike>>>> = {
  'the agent': {
    fetching: killThenGo,
    armed: goThenKill,
    trial: killThenGo,
    // It is the one on trial, which launch must not start again.
    reverting: async ({ box }, { killing }) => {
      await killAgent(box);
      killing.go();
    },
  },
  launch: {
    fetching: async ({ box }, { killing }) => {
      await killLaunch(box, 'updater', () => undefined);
      await agentAfter(box, await killAgentAndLaunch(box));
      killing.go();
    },
    armed: goThenKillLaunch,
    trial: async ({ box }, { killing }) => {
      await killAgentAndLaunch(box);
      killing.go();
    },
    // The start after the rollback: nobody but launch brings the version before back.
    reverting: goThenKillLaunch,
  },
  'everything at once': { fetching: pullThePlug, armed: pullThePlug, trial: pullThePlug, reverting: pullThePlug },
};

async function killThenGo({ box }: Lane, { killing }: Begun): Promise<void> {
  const before = await killAgent(box);
  await agentAfter(box, before);
  killing.go();
}

async function goThenKill({ box }: Lane, { killing }: Begun): Promise<void> {
  killing.go();
  await killAgent(box);
}

async function goThenKillLaunch({ box }: Lane, { killing }: Begun): Promise<void> {
  await killLaunch(box, 'app', () => killing.go());
}

/** The agent, and the launch that would start it again. @returns the agent's pid */
async function killAgentAndLaunch(box: ApplianceBox): Promise<number> {
  // It is there before launch is held, which may be about to start it.
  const agent = await agentAfter(box, null);
  await killLaunch(box, 'app', () => killAgent(box));
  return agent;
}

async function pullThePlug({ box }: Lane): Promise<void> {
  await box.pullThePlug();
  await box.powerOn();
}

/** From a file: the good ones in turn, so that there is always another version to go to. */
function install(lane: Lane, row: Case['row'], { good, bad }: Bundles): void {
  const isThere = stateOf(lane.box).app.committed.version === good[0].version;
  const bundle = row === 'reverting' ? bad : isThere ? good[1] : good[0];
  askUpdater(lane.box, { kind: 'install', file: bundle.path });
}

/** The appliance stands in its row, with its updater held there. */
async function standIn(lane: Lane, row: Case['row'], start: () => void | Promise<void>): Promise<Begun> {
  setTrial(lane.box, row === 'reverting' ? trialMs.failing : trialMs.good);
  const begun = await lane.begin([{ row, moment: 'hold', operation: 1 }]);
  await start();
  await begun.killing.waits();
  return begun;
}

async function strike(lane: Lane, { victim, row }: Case, bundles: Bundles): Promise<Seen> {
  if (victim === 'the server') throw new RangeError('the server is killed for all of them together');
  const begun = await standIn(lane, row, () => install(lane, row, bundles));
  const committedWasSound = isCommittedSound(lane.box);
  await strikes[victim][row](lane, begun);
  const seen = await lane.rest(begun, committedWasSound);
  await begun.killing.ended();
  return seen;
}

/** One death of the server, with each appliance in another row. The fetching one needs it; the others do not wait for it. */
async function strikeServer(bundles: Bundles): Promise<void> {
  const own = cases.filter(({ victim }) => victim === 'the server');
  const begun = await Promise.all(
    own.map(({ row }, index) => {
      const lane = laneAt(index);
      const start = () =>
        row === 'fetching'
          ? world.server.startRollout(bundles.good[1].version, [lane.name]).then(() => undefined)
          : install(lane, row, bundles);
      return standIn(lane, row, start);
    }),
  );
  const sound = own.map((_, index) => isCommittedSound(laneAt(index).box));
  await world.server.stop('SIGKILL');
  for (const { killing } of begun) killing.go();
  await Promise.all(
    begun.slice(1).map(({ lastTx }, index) => {
      const { box, name } = laneAt(index + 1);
      return until(`${name} decides without the server`, patienceMs, () => {
        const { row, lastTx: tx } = stateOf(box);
        return row === 'idle' && tx > lastTx ? true : null;
      });
    }),
  );
  await world.server.start(Number(new URL(world.server.url).port), paceS);
  await Promise.all(
    own.map((one, index) =>
      findings.settle(one, async () => {
        const start = begun[index];
        if (start === undefined) throw new RangeError('a case without an appliance');
        return laneAt(index).rest(start, sound[index] ?? false);
      }),
    ),
  );
}

function laneAt(index: number): Lane {
  const lane = lanes[index];
  if (lane === undefined) throw new RangeError(`there is no appliance ${index}`);
  return lane;
}

async function play(bundles: Bundles): Promise<void> {
  await Promise.all(
    victims
      .filter((victim) => victim !== 'the server')
      .map(async (victim, index) => {
        for (const one of cases.filter((other) => other.victim === victim)) {
          await findings.settle(one, () => strike(laneAt(index), one, bundles));
        }
      }),
  );
  await strikeServer(bundles);
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const build = async (): Promise<Bundles> => {
    const good = [await world.builder.app('1.0.52'), await world.builder.app('1.0.54')] as const;
    return { good, bad: await world.builder.app('1.0.53') };
  };
  const bundles = build();
  for (const name of ['a', 'b', 'c', 'd']) {
    const trial = { healthyMs: trialMs.good, deadlineMs: patienceMs };
    const box = await world.addAppliance(name, {
      timerMs: 10_000,
      trial,
      settings: { sampleMs: 100 },
      holdsLaunch: true,
    });
    await box.powerOn();
    lanes.push(new Lane(world, box));
  }
  for (const { name } of lanes) {
    await until(`${name} is there`, patienceMs, async () =>
      (await world.server.records(name)).length === 0 ? null : true,
    );
  }
  const ready = await bundles;
  await world.publish(...ready.good);
  play(ready).catch((error: unknown) => findings.breakOff(error));
});

afterAll(async () => {
  await world.end();
  rmSync(dir, { recursive: true, force: true });
});

describe('after SIGKILL of', () => {
  it.each(cases)('$victim in $row, the appliance ends on the right version with its data', async (one) => {
    const found = await findings.found(one);
    const outcome = one.row === 'reverting' ? 'rolled-back' : 'committed';
    expect(found).toMatchObject({ committedWasSound: true, row: 'idle', halfWritten: [], outcomes: [outcome] });
    if (one.row === 'reverting') expect(found).toMatchObject({ serves: found.servedBefore, reason: 'stalled' });
    else expect(found.serves).not.toBe(found.servedBefore);
    expect(found.readingsBefore.count).toBeGreaterThan(0);
    expect(found.readingsAfter).toEqual(found.readingsBefore);
  });

  it.each([0, 1, 2, 3])('any of them, nothing that appliance %i put in an outbox is lost on the way', async (index) => {
    await findings.allSettled();
    const { name } = laneAt(index);
    for (const role of ['agent', 'updater'] as const) expect(await lostEvents(world, name, role)).toEqual([]);
  });
});
