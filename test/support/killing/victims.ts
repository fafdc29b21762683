import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplianceBox } from '../world/appliance-box.ts';
import { until } from '../world/wait.ts';
import { wakeUpdater } from './look.ts';
import { changeSettings } from './own-settings.ts';

const appearsWithinMs = 20_000;

/** @returns false when it was gone already */
function sigkill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** SIGKILL to the agent's main process, as soon as there is one. @returns its pid */
export function killAgent(box: ApplianceBox): Promise<number> {
  return until('an agent to kill', appearsWithinMs, () => {
    const pid = box.agentPid();
    return pid !== null && sigkill(pid) ? pid : null;
  });
}

export async function agentAfter(box: ApplianceBox, before: number | null): Promise<number> {
  return until('the agent is back', appearsWithinMs, () => {
    const pid = box.agentPid();
    return pid === before ? null : pid;
  });
}

/**
 * SIGKILL to `launch count`, which waits at its gate until it is met: it lives for a few hundredths of a second.
 * @param cause makes somebody start it
 */
export async function killLaunch(box: ApplianceBox, component: 'app' | 'updater', cause: () => unknown): Promise<void> {
  const { launchGate } = box.config;
  if (launchGate === null) throw new RangeError(`${box.options.name} has no gate for launch`);
  mkdirSync(launchGate, { recursive: true });
  const held = join(launchGate, component);
  writeFileSync(held, '');
  try {
    await cause();
    await until(`launch of ${component} to kill`, appearsWithinMs, () => {
      if (component === 'updater') wakeUpdater(box);
      return box.processes(`launch.js count ${component}`).some(sigkill) ? true : null;
    });
  } finally {
    rmSync(held);
  }
}

/** Healthy time that a trial needs from now on, by the appliance's own settings. */
export function setTrial(box: ApplianceBox, healthyMs: number): void {
  changeSettings(box, ({ trial }) => ({ trial: { ...trial, healthyMs } }));
}
