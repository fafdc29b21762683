import { copyFileSync, cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransactionLine } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceView, OrderView } from '../../server-lite/operator/shapes.ts';
import { wakeUpdater } from '../support/killing/look.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { type Built, thinRuntime } from '../support/world/builder.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

/** What a scenario waits for comes within this time, or never. */
export const comesWithinMs = patienceMs;
/**
 * For versions that are good: a machine with other work is slow, and nobody is rolled back for that. Where a version is to
 * fail by one of these, its scenario says how soon.
 */
export const patient = { sampleMs: 100, stallMs: 60_000, answerMs: 60_000, graceMs: 60_000 } as const;
/** A trial that only its verdict ends. */
export const trialOf = (healthyMs: number) => ({ healthyMs, deadlineMs: patienceMs });
/** Check-ins are a quarter of a second apart, so that nobody waits for them. */
export const paceS = 0.25;

/** A fresh world below a directory of its own; releases ship a runtime that is only a few bytes. */
export function makeWorld(): World {
  const dir = mkdtempSync(join(tmpdir(), 'hf-scenario-'));
  return new World(dir, thinRuntime(join(dir, 'thin')));
}

export async function endWorld(world: World): Promise<void> {
  await world.end();
  rmSync(world.dir, { recursive: true, force: true });
}

/** An operating system's image like the world's own, with another agent as its factory release. */
export function imageWith(world: World, factory: Built): string {
  const os = `${world.os}-${factory.version}`;
  cpSync(world.os, os, { recursive: true, filter: (path) => !/\/app-[^/]*\.hfb$/.test(path) });
  copyFileSync(factory.path, join(os, 'factory', `app-${factory.version}.hfb`));
  return os;
}

/** An updater with a timer as long as this is started by its test alone, or by what the test is about. */
const ownTimerMs = 60_000;
/** Looks of a wait, each a tenth of a second after the one before: sooner at first, and no more where it takes long. */
const wakingLooks: ReadonlySet<number> = new Set([1, 6, 16, 31, 61, 101]);

/** Until something is so with an appliance, whose updater is woken a few times: in the place of a timer that ticks all the time. */
export function untilOf<T>(box: ApplianceBox, what: string, look: () => Promise<T | null> | T | null): Promise<T> {
  const { timerMs } = box.options;
  const isWoken = timerMs !== null && timerMs < ownTimerMs;
  let looks = 0;
  return until(`${box.options.name}: ${what}`, comesWithinMs, async () => {
    let found: T | null = null;
    looks += 1;
    try {
      found = await look();
    } finally {
      if (found === null && isWoken && wakingLooks.has(looks)) wakeUpdater(box);
    }
    return found;
  });
}

function boxNamed(world: World, name: string): ApplianceBox {
  const box = world.appliances.find(({ options }) => options.name === name);
  if (box === undefined) throw new RangeError(`there is no appliance ${name}`);
  return box;
}

/** Until the updater has told the server that it committed a version and rests. */
export function committed(
  world: World,
  name: string,
  version: string,
  box = boxNamed(world, name),
): Promise<ApplianceView> {
  return untilOf(box, `commits ${version}`, async () => {
    const view = await world.server.appliance(name);
    return view.reported.updater.app?.version === version && view.row === 'idle' ? view : null;
  });
}

/** Until the appliance itself answers as a version, at rest. */
export function serves(box: ApplianceBox, version: string) {
  return untilOf(box, `serves ${version}`, async () => {
    const status = await box.status();
    return status.row === 'idle' && status.agent.version === version ? status : null;
  });
}

/** Until the appliance's own status says that the agent reaches the server: the updater tells it at its next look. */
export function saysThatServerIsReached(box: ApplianceBox) {
  return untilOf(box, 'says that the agent reaches the server', async () => {
    const status = await box.status();
    return status.agent.server === 'ok' ? status : null;
  });
}

/** Until an appliance's history has that many lines. */
export function historyOf(box: ApplianceBox, lines: number): Promise<TransactionLine[]> {
  return untilOf(box, `has ended ${lines} transactions`, async () => {
    const found = (await box.status()).transactions;
    return found.length >= lines ? found : null;
  });
}

/** `from -> to outcome reason`, for each line. */
export function told(lines: readonly TransactionLine[]): string[] {
  return lines.map(
    ({ from, to, outcome, reason }) => `${from} -> ${to} ${wordOf(outcome)}${reason ? ` ${reason}` : ''}`,
  );
}

export function ended(world: World, id: string): Promise<OrderView> {
  return until(`order ${id} ends`, comesWithinMs, async () => {
    const order = await world.server.order(id);
    return order.endedAtMs === null ? null : order;
  });
}

/** The agent's main process. Never 0 or -1: signals to those go to whole groups. */
export function agentOf(box: ApplianceBox): Promise<number> {
  return until(`${box.options.name} has an agent`, comesWithinMs, () => box.agentPid());
}

/** The directory that the next start of the agent runs from, without links. */
export function launchedSlot(box: ApplianceBox): string {
  return realpathSync(join(box.layout.launchedComponent('app'), 'slot'));
}

/** Files of slots that a process has mapped into its memory, without links. */
export function mappedSlotFiles(box: ApplianceBox, pid: number): string[] {
  const slots = realpathSync(box.layout.slots);
  const paths = readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .map((line) => line.slice(line.indexOf('/')));
  return [...new Set(paths.filter((path) => path.startsWith(`${slots}/`)))];
}
