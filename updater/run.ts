import type { Layout } from '../protocol/layout.ts';
import type { StateBody } from '../protocol/state-record.ts';
import type { Appliance } from './appliance.ts';
import type { CommandLine } from './command-line.ts';
import { openCounter } from './counter.ts';
import type { Clock } from './effects/clock.ts';
import { isOutOfSpace } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import { runProgram } from './effects/programs.ts';
import { openEvents } from './events.ts';
import { loadIdentity } from './identity.ts';
import { exitAgain } from './launch-end.ts';
import { takeLock } from './lock.ts';
import { runUpdater } from './loop.ts';
import type { ProcessControl } from './processes/process-control.ts';
import { supervisorControl } from './processes/supervisor-control.ts';
import { systemdControl } from './processes/systemd-control.ts';
import { openState } from './recover-state.ts';
import { readSeal } from './release/verify-slot.ts';
import { wayOut } from './release/way-out.ts';
import { loadSettings, type Settings } from './settings.ts';
import { StateError } from './state-store.ts';
import { tidyAgentPlaces } from './steps/agent-places.ts';
import { isToBeStarted } from './steps/updater-trial.ts';

function processControlOf(
  machine: { readonly files: Files; readonly clock: Clock; readonly layout: Layout },
  { processControl, agentUser }: Settings,
): ProcessControl {
  if (processControl.kind === 'supervisor') return supervisorControl(processControl.socket, processControl.isolation);
  return systemdControl({ ...machine, run: runProgram, agentUser });
}

/** Wires one run on this appliance. */
export function openAppliance(
  line: Pick<CommandLine, 'files' | 'clock' | 'layout' | 'version' | 'builtAtS' | 'home'>,
  log: (text: string) => void,
): Appliance {
  const { files, clock, layout, version, builtAtS, home } = line;
  const settings = loadSettings(files, layout);
  const { identity, key } = loadIdentity(files, layout);
  return {
    files,
    clock,
    layout,
    version,
    builtAtS,
    // Told by the seal beside this program, not by comparing paths (S25).
    manifest: readSeal(files, home)?.manifest ?? null,
    run: runProgram,
    settings,
    identity,
    key,
    log,
    http: wayOut({ files, layout }, { stallMs: settings.httpStallMs }),
    processes: processControlOf({ files, clock, layout }, settings),
    counter: openCounter(files, layout),
    events: openEvents(files, layout, clock, identity.appliance),
  };
}

/** null: this run stood by, and there is nothing more for it to do */
async function stateOrStandBy(appliance: Appliance): Promise<StateBody | null> {
  try {
    return await openState(appliance);
  } catch (error) {
    if (!(error instanceof StateError) || error.code !== 'state-from-the-future') throw error;
    appliance.log(error.message);
    const { standBy } = await import('./stand-by.ts');
    return standBy(appliance, error.message);
  }
}

/** Less than this free in run/ is what only somebody who fills it on purpose leaves. */
const runRoomLeast = { bytes: 64 * 1024, inodes: 16 } as const;

function isRunFull({ files, layout }: Appliance): boolean {
  const inodes = files.freeInodes(layout.run);
  return files.freeBytes(layout.run) < runRoomLeast.bytes || (inodes !== null && inodes < runRoomLeast.inodes);
}

/**
 * One run. The agent may write in run/ (its corner, the hint), and what the updater has to write there is on the way to
 * every release: where the agent left no room, it is stopped, what it left is removed, and the run begins anew. The agent
 * is started again as after any crash: at the end of the run, where no newer release comes first.
 */
async function runWithRoom(appliance: Appliance, state: StateBody): Promise<StateBody> {
  try {
    return await runUpdater(appliance, state, false);
  } catch (error) {
    if (!isOutOfSpace(error) || !isRunFull(appliance)) throw error;
    appliance.log('the agent left no room in run/: it is stopped, and what it left there is removed');
    await appliance.processes.stopAgent();
    tidyAgentPlaces(appliance);
    return runUpdater(appliance, await openState(appliance), true);
  }
}

/**
 * `run`: one run, from the state that it finds to rest. Another one at work is no error.
 * @returns the exit status: 0, or {@link exitAgain}
 */
export async function runOnce(line: CommandLine): Promise<number> {
  const lock = takeLock(line.layout);
  if (lock === null) {
    line.print('another updater is at work');
    return 0;
  }
  try {
    const appliance = openAppliance(line, (text) => line.print(`${line.clock.monoMs()} ${text}`));
    const state = await stateOrStandBy(appliance);
    const after = state === null ? null : await runWithRoom(appliance, state);
    // The new updater is to be started now, and only launch does that.
    return after !== null && isToBeStarted(appliance, after) ? exitAgain : 0;
  } finally {
    lock.release();
  }
}
