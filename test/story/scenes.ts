import type { Built } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { errorText, highestOf } from './checks.ts';
import type { Observations } from './observations.ts';
import {
  acknowledged,
  agentInProcessTable,
  crashReports,
  figures,
  historyOf,
  page,
  readings,
  recordsAndReadings,
  whyOf,
} from './outside.ts';
import type { Stage } from './stage.ts';

/** The four facts of the end. */
export interface Facts {
  readonly blockedMs: number;
  readonly fetchedMs: number;
  readonly downMs: number;
  readonly revertedMs: number;
}

/** How long a scene may take before the story says that it did not end as told. */
const sceneMs = 45_000;

export async function sceneFleet({ world, first, control, third }: Stage): Promise<NonNullable<Observations['fleet']>> {
  const appliances = await until('harbour-3 shows as offline', sceneMs, async () => {
    const all = await world.server.appliances();
    return all.find((one) => one.name === 'harbour-3')?.online === false ? all : null;
  });
  const boxes = { 'harbour-1': first, 'harbour-2': control, 'harbour-3': third };
  const agents = Object.fromEntries(Object.entries(boxes).map(([name, box]) => [name, agentInProcessTable(box)]));
  return { appliances, agents, isRoot: process.getuid?.() === 0 };
}

export async function sceneCrash(stage: Stage, orderId: string): Promise<NonNullable<Observations['crash']>> {
  const { world, first } = stage;
  const pids = new Set<number>();
  const order = await until('the agent crashes twice', sceneMs, async () => {
    const pid = first.agentPid();
    if (pid !== null) pids.add(pid);
    const now = await world.server.order(orderId);
    return now.crashes >= 2 && now.crashText.includes(errorText) && pids.size >= 2 ? now : null;
  });
  const seenPage = await until('the field page tells of it', sceneMs, async () => {
    const found = await page(stage.pageUrl);
    return found.html.includes('crashed') ? found : null;
  });
  const crashes = await crashReports(world, 'harbour-1');
  return { order, crashes, pids: [...pids], page: { ...seenPage, why: await whyOf(first) } };
}

async function committed(stage: Stage, name: string, version: string) {
  return until(`${name} commits ${version}`, sceneMs, async () => {
    const view = await stage.world.server.appliance(name);
    return view.reported.updater.app?.version === version && view.row === 'idle' ? view : null;
  });
}

export async function sceneFix(
  stage: Stage,
  bundle: Built,
  orderId: string,
): Promise<NonNullable<Observations['fixed']>> {
  const { world, first } = stage;
  await world.publish(bundle);
  await world.server.startRollout('1.0.52', ['harbour-1']);
  const appliance = await committed(stage, 'harbour-1', '1.0.52');
  const order = await until('the order ends', sceneMs, async () => {
    const now = await world.server.order(orderId);
    return now.endedAtMs === null ? null : now;
  });
  const status = await until('1.0.52 answers', sceneMs, async () => {
    const now = await first.status();
    // The updater's own words follow what it told the server.
    return now.agent.version === '1.0.52' && now.row === 'idle' ? now : null;
  });
  return { appliance, status, order, ...(await recordsAndReadings(world, 'harbour-1')) };
}

export async function sceneRollback(
  stage: Stage,
  bundle: Built,
  onTrial: () => void,
): Promise<NonNullable<Observations['rolledBack']>> {
  const { world, first } = stage;
  await world.publish(bundle);
  const recordsBefore = await acknowledged(world, 'harbour-1');
  const upTo = highestOf(recordsBefore);
  await world.server.startRollout('1.0.53', ['harbour-1']);
  await until('1.0.53 is on trial', sceneMs, async () =>
    (await world.server.appliance('harbour-1')).row === 'trial' ? true : null,
  );
  onTrial();
  await until('1.0.52 serves again', sceneMs, () => figures(world, 'harbour-1', 'agent-recovered', '1.0.52'));
  const readingsBefore = await readings(world, 'harbour-1', upTo);
  const { records: recordsAfter, readings: readingsAfter } = await recordsAndReadings(world, 'harbour-1');
  const rollout = await until('the rollout is paused', sceneMs, async () => {
    const found = (await world.server.rollouts()).find((one) => one.version === '1.0.53');
    return found?.state === 'paused' ? found : null;
  });
  const status = await until('the updater rests', sceneMs, async () => {
    const now = await first.status();
    return now.row === 'idle' && now.agent.version === '1.0.52' ? now : null;
  });
  const why = await until('page, dashboard and command line tell it', sceneMs, async () => {
    const commandLine = await whyOf(first);
    const seen = {
      commandLine,
      page: (await page(stage.pageUrl)).html,
      dashboard: (await page(world.server.url)).html,
    };
    return seen.dashboard.includes('stalled') && seen.page.includes('stalled') ? seen : null;
  });
  const appliance = await world.server.appliance('harbour-1');
  const history = await historyOf(first);
  return { appliance, status, history, recordsBefore, readingsBefore, recordsAfter, readingsAfter, rollout, why };
}

export async function sceneNewest(stage: Stage, bundle: Built): Promise<NonNullable<Observations['newest']>> {
  const { world, third } = stage;
  await world.publish(bundle);
  await world.server.startRollout('1.0.54', ['harbour-1']);
  const first = await committed(stage, 'harbour-1', '1.0.54');
  // Who wakes gets the newest release that is open to everyone: the canary must have proven it first.
  await until('the canary has proven 1.0.54', sceneMs, async () => {
    const rollout = (await world.server.rollouts()).find((one) => one.version === '1.0.54');
    return rollout?.proven.includes('harbour-1') ? true : null;
  });
  await third.powerOn();
  const view = await committed(stage, 'harbour-3', '1.0.54');
  return { first, third: view, thirdHistory: await historyOf(third) };
}

export async function sceneControl(stage: Stage, orderId: string): Promise<NonNullable<Observations['control']>> {
  const { world, control } = stage;
  return {
    appliance: await world.server.appliance('harbour-2'),
    order: await world.server.order(orderId),
    updaterProcesses: control.processes('launched/updater/slot/main.js'),
    dashboard: (await page(world.server.url)).html,
  };
}

export async function gatherFacts({ world }: Stage, crashedAtMs: number, servedAtMs: number): Promise<Facts> {
  const fixed = await figures(world, 'harbour-1', 'release-committed', '1.0.52');
  const back = await figures(world, 'harbour-1', 'agent-recovered', '1.0.52');
  if (fixed?.fetchedMs === undefined || fixed.downMs === undefined || back?.revertedMs === undefined) {
    throw new Error('the events of the updates carry no figures');
  }
  const { fetchedMs, downMs } = fixed;
  return { blockedMs: Math.round(servedAtMs - crashedAtMs), fetchedMs, downMs, revertedMs: back.revertedMs };
}
