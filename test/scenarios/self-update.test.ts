import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TransactionLine } from '../../protocol/status.ts';
import { applianceViewShape } from '../../server-lite/operator/shapes.ts';
import { stateOf } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import { updaterVersion } from '../support/world/world.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, serves, told } from './scene.ts';

/** The updater replaces itself: a good one is committed by its first whole run, a bad one is never missed. */
const world = makeWorld();
/** Three tries, a second apart, and what a loaded machine adds. */

interface Bad {
  readonly version: string;
  readonly how: string;
  readonly outcome: 'refused' | 'rolled-back';
  readonly reason: string;
  readonly text: RegExp;
}
const bad: readonly Bad[] = [
  {
    version: '1.1.1',
    how: 'crashes in its trial',
    outcome: 'rolled-back',
    reason: 'crash-loop',
    text: /it ended 3 times before its first whole run \(last exit: 1\)/,
  },
  {
    version: '1.1.2',
    how: 'hangs in its trial',
    outcome: 'rolled-back',
    reason: 'crash-loop',
    text: /last exit: SIGKILL/,
  },
  {
    version: '1.1.3',
    how: 'cannot read the record',
    outcome: 'refused',
    reason: 'probe-failed',
    text: /ended with 1 and did not say how it went/,
  },
  {
    version: '1.1.4',
    how: 'leaves a record of a newer schema in a row of its own, and crashes',
    outcome: 'rolled-back',
    reason: 'crash-loop',
    text: /last exit: 1/,
  },
  {
    version: '1.1.5',
    how: 'takes memory without end',
    outcome: 'rolled-back',
    reason: 'crash-loop',
    text: /last exit: (SIGABRT|134)/,
  },
  {
    version: '1.1.6',
    how: 'writes outside of its scratch directory when it is probed',
    outcome: 'refused',
    reason: 'probe-failed',
    text: /did not say how it went/,
  },
  {
    version: '1.1.7',
    how: 'reaches no server, which the one before it does',
    outcome: 'rolled-back',
    reason: 'server-not-reached',
    text: /which the previous updater could reach and still can/,
  },
  {
    version: '1.1.9',
    how: 'writes a newer schema before it is committed',
    outcome: 'refused',
    reason: 'probe-failed',
    text: /it writes schema 2 before it is committed/,
  },
  {
    version: '1.1.10',
    how: 'says that it is another version',
    outcome: 'refused',
    reason: 'probe-failed',
    text: /it says that it is 1\.1\.11/,
  },
];
const good = '1.1.0';
const laterBad = '1.1.8';
const fixed = '1.1.12';

const boxes = new Map<string, ApplianceBox>();
function boxOf(version: string): ApplianceBox {
  const box = boxes.get(version);
  if (box === undefined) throw new RangeError(`no appliance is there for ${version}`);
  return box;
}
const nameOf = (version: string) => `u-${version.replaceAll('.', '-')}`;

async function assign(box: ApplianceBox, component: 'app' | 'updater', version: string): Promise<void> {
  const { id } = await world.server.appliance(box.options.name);
  await world.server.api(applianceViewShape, 'POST', `/api/appliances/${id}/assign`, { component, version });
}

function lineOf(box: ApplianceBox, version: string): Promise<TransactionLine> {
  return until(`${box.options.name} has done with updater ${version}`, comesWithinMs, async () => {
    const { transactions, row } = await box.status();
    const line = transactions.find(({ component, to }) => component === 'updater' && to === version);
    return row === 'idle' && line !== undefined ? line : null;
  });
}

const isAlive = (pid: number | null) => pid !== null && existsSync(`/proc/${pid}`);

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const updaters = [await world.builder.updater(good), await world.builder.updater(fixed)];
  for (const version of [...bad.map((one) => one.version), laterBad])
    updaters.push(await world.builder.patchedUpdater(version));
  await world.publish(...updaters, await world.builder.app('1.0.52'));
  for (const version of [good, laterBad, ...bad.map((one) => one.version)]) {
    const trial = { healthyMs: 500, deadlineMs: 20_000 };
    const box = await world.addAppliance(nameOf(version), { timerMs: 500, trial, settings: { sampleMs: 100 } });
    boxes.set(version, box);
  }
});

afterAll(() => endWorld(world));

/** Runs alone: as many appliances at once as one machine would not have. */
async function poweredOn(version: string): Promise<{ box: ApplianceBox; agent: number | null }> {
  const box = boxOf(version);
  // Only one of them hangs; the others may be slow.
  await box.powerOn({ overdueS: version === '1.1.2' ? 4 : 60 });
  await serves(box, '1.0.49');
  return { box, agent: box.agentPid() };
}

describe('a new updater', () => {
  it('is committed by its first whole run, without its agent noticing, and updates the agent', async () => {
    const { box, agent } = await poweredOn(good);
    await assign(box, 'updater', good);
    expect(await lineOf(box, good)).toMatchObject({ from: updaterVersion, outcome: 'committed', component: 'updater' });
    expect(isAlive(agent) && box.agentPid() === agent, 'the agent was not touched').toBe(true);
    const state = stateOf(box);
    expect(state.updater).toMatchObject({ committed: { version: good, slot: '0' }, previous: { slot: 'factory' } });
    await until('it says its own version', comesWithinMs, async () =>
      (await box.status()).updater.version === good ? true : null,
    );
    await until('the server hears of it', comesWithinMs, async () => {
      const { reported } = await world.server.appliance(box.options.name);
      return reported.updater.updater?.version === good ? true : null;
    });
    await assign(box, 'app', '1.0.52');
    await serves(box, '1.0.52');
    // Not before the window of the agent's version is over.
    await assign(box, 'updater', fixed);
    const waiting = await until('it says why it waits', comesWithinMs, async () => {
      const { why } = await box.status();
      return /Updater 1\.1\.12 waits/.test(why) ? why : null;
    });
    expect(waiting).toMatch(/not replaced while 1\.0\.52 can still be taken back to 1\.0\.49/);
    await box.powerOff();
  });

  it.each(bad)('that $how is $outcome, the one before it is not missed, and the next agent arrives', async (one) => {
    const { box, agent } = await poweredOn(one.version);
    await assign(box, 'updater', one.version);
    const line = await lineOf(box, one.version);
    expect(line).toMatchObject({ outcome: one.outcome, reason: one.reason });
    expect(line.text).toMatch(one.text);
    expect(isAlive(agent) && box.agentPid() === agent, 'the agent was not touched').toBe(true);
    const { committed, updater, quarantine, lastTx } = stateOf(box);
    expect({ committed, version: updater.committed.version }).toEqual({
      committed: { app: 'factory', updater: 'factory' },
      version: updaterVersion,
    });
    const inQuarantine = one.outcome === 'rolled-back' ? [one.version] : [];
    expect(quarantine.map(({ version }) => version)).toEqual(inQuarantine);
    expect(readdirSync(box.layout.updater)).not.toContain('state.armed');
    if (one.outcome === 'rolled-back') {
      const evidence = readFileSync(join(box.layout.evidence, String(lastTx), 'verdict.json'), 'utf8');
      expect(JSON.parse(evidence)).toMatchObject({ transaction: { version: one.version } });
      expect((await box.status()).why).toMatch(new RegExp(`Updater ${one.version} was rolled back`));
    }
    await assign(box, 'app', '1.0.52');
    await serves(box, '1.0.52');
    await box.powerOff();
  });

  it('that crashes after its commit is given up for factory, which brings agent and updater forward', async () => {
    const { box } = await poweredOn(laterBad);
    await assign(box, 'updater', laterBad);
    expect(await lineOf(box, laterBad)).toMatchObject({ outcome: 'committed' });
    await until('factory runs in its place', comesWithinMs, async () => {
      const { updater, why } = await box.status();
      return updater.version === updaterVersion && /updater 1\.1\.8 ended badly/i.test(why) ? true : null;
    });
    await assign(box, 'updater', fixed);
    expect(await lineOf(box, fixed)).toMatchObject({ outcome: 'committed' });
    expect(told((await box.status()).transactions)).toEqual([
      `${updaterVersion} -> ${laterBad} committed`,
      `${laterBad} -> ${fixed} committed`,
    ]);
    await assign(box, 'app', '1.0.52');
    await serves(box, '1.0.52');
    await box.powerOff();
  });
});
