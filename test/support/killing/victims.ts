import { setImmediate as turn } from 'node:timers/promises';
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

/** SIGKILL to `launch count` in the moment in which it runs: it takes a few hundredths of a second. */
export async function killLaunch(box: ApplianceBox, component: 'app' | 'updater'): Promise<void> {
  for (const endsAt = performance.now() + appearsWithinMs; performance.now() < endsAt; await turn()) {
    if (component === 'updater') wakeUpdater(box);
    if (box.processes(`launch.js count ${component}`).some(sigkill)) return;
  }
  throw new Error(`launch never ran for ${component}`);
}

/** Healthy time that a trial needs from now on, by the appliance's own settings. */
export function setTrial(box: ApplianceBox, healthyMs: number): void {
  changeSettings(box, ({ trial }) => ({ trial: { ...trial, healthyMs } }));
}
