import { copyFileSync, cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransactionLine } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { ApplianceView, OrderView } from '../../server-lite/operator/shapes.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { type Built, thinRuntime } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

/** What a scenario waits for comes within this time, or never. */
export const comesWithinMs = 120_000;
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

/** Until the updater has told the server that it committed a version and rests. */
export function committed(world: World, name: string, version: string): Promise<ApplianceView> {
  return until(`${name} commits ${version}`, comesWithinMs, async () => {
    const view = await world.server.appliance(name);
    return view.reported.updater.app?.version === version && view.row === 'idle' ? view : null;
  });
}

/** Until the appliance itself answers as a version, at rest. */
export function serves(box: ApplianceBox, version: string) {
  return until(`${box.options.name} serves ${version}`, comesWithinMs, async () => {
    const status = await box.status();
    return status.row === 'idle' && status.agent.version === version ? status : null;
  });
}

/** Until an appliance's history has that many lines. */
export function historyOf(box: ApplianceBox, lines: number): Promise<TransactionLine[]> {
  return until(`${box.options.name} has ended ${lines} transactions`, comesWithinMs, async () => {
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
