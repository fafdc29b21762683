import { readFileSync, writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import type { ApplianceBox } from '../world/appliance-box.ts';
import { until } from '../world/wait.ts';
import { wakeUpdater } from './look.ts';

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
  const settings = z
    .looseObject({ trial: z.looseObject({}) })
    .parse(JSON.parse(readFileSync(box.layout.settings, 'utf8')));
  const changed = { ...settings, trial: { ...settings.trial, healthyMs } };
  writeFileSync(box.layout.settings, JSON.stringify(changed), { mode: 0o600 });
}
