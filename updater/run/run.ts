import { randomUUID } from 'node:crypto';
import { exitFailed } from '../../protocol/exit-status.ts';
import type { Layout } from '../../protocol/layout.ts';
import { inOneLine } from '../../protocol/printable.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { type Lock, takeLock } from '../appliance/lock.ts';
import type { Clock } from '../effects/clock.ts';
import type { CommandLine } from '../effects/command-line.ts';
import { isOutOfSpace } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { noServer } from '../effects/http.ts';
import { runProgram } from '../effects/programs.ts';
import { loadIdentity, lostIdentityText } from '../identity/identity.ts';
import { closePlace, putPlacesRight } from '../identity/places.ts';
import { type Settings, settingsInForce } from '../identity/settings.ts';
import { exitAgain } from '../launch/end.ts';
import type { ProcessControl } from '../processes/process-control.ts';
import { supervisorControl } from '../processes/supervisor-control.ts';
import { systemdControl } from '../processes/systemd-control.ts';
import { StateError } from '../record/state-store.ts';
import { openState } from '../recovery/recover-state.ts';
import { tellOfDamage } from '../recovery/tell-of-damage.ts';
import { readSeal } from '../release/verify-slot.ts';
import { sweepRequests, tidyPagePlaces } from '../requests/page-places.ts';
import { openCounter } from '../server/counter.ts';
import { openEvents } from '../server/events.ts';
import { networkPath } from '../server/network-path.ts';
import { publishPath } from '../server/publish-path.ts';
import { mendAgentKeys, tidyAgentPlaces } from '../transaction/agent-places.ts';
import { begunAnewText, settleTrust } from '../trust/trust-begins.ts';
import { runTexts, transactionTexts } from '../words/texts.ts';
import { runUpdater } from './loop.ts';

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
  const { settings, notice } = settingsInForce(files, layout);
  const { identity, key, isLost } = loadIdentity(files, layout);
  return {
    isIdentityLost: isLost,
    notices: [...(isLost ? [lostIdentityText] : []), ...(notice === null ? [] : [notice])],
    files,
    clock,
    layout,
    version,
    builtAtS,
    // Taken from the seal beside this program, not by comparing paths (S25).
    manifest: readSeal(files, home)?.manifest ?? null,
    run: runProgram,
    newTransactionId: randomUUID,
    settings,
    identity,
    key,
    log,
    http: isLost
      ? noServer(lostIdentityText)
      : networkPath({ files, layout }, { stallMs: settings.httpStallMs }, () =>
          publishPath({ files, layout, settings, log }),
        ),
    processes: processControlOf({ files, clock, layout }, settings),
    counter: openCounter(files, layout),
    events: openEvents(files, layout, clock, identity.appliance),
  };
}

/** null: this run stood by and has nothing more to do */
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

/** Less than this is free in run/ only when somebody fills it on purpose. */
const runRoomLeast = { bytes: 64 * 1024, inodes: 16 } as const;

function isRunFull({ files, layout }: Appliance): boolean {
  const inodes = files.freeInodes(layout.run);
  return files.freeBytes(layout.run) < runRoomLeast.bytes || (inodes !== null && inodes < runRoomLeast.inodes);
}

/**
 * One run. Agent and page may write in run/ (in their own directories, and the hint), and every release needs the
 * updater to write there. If the page left no room, what it left beyond its quota is removed, and the agent is not
 * touched. If the agent left no room, it is stopped, what it left is removed, and the run starts afresh; the agent
 * starts again as after any crash: at the end of the run, unless a newer release comes first.
 */
async function runWithRoom(appliance: Appliance, state: StateBody): Promise<StateBody> {
  try {
    return await runUpdater(appliance, state, false);
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
    const isOfPage = sweepRequests(appliance) > 0;
    if (!isRunFull(appliance)) {
      if (!isOfPage) throw error;
      appliance.log(runTexts.pageLeftNoRoom);
      return runUpdater(appliance, await openState(appliance), true);
    }
    appliance.log(runTexts.agentLeftNoRoom);
    await appliance.processes.stopAgent();
    tidyAgentPlaces(appliance);
    return runUpdater(appliance, await openState(appliance), true);
  }
}

/** Puts the owner of each directory and file right before anything is read, and reports what it changed. */
function tidyPlaces({ files, layout, settings, events, clock, log }: Appliance): void {
  for (const { path, text, byStranger } of putPlacesRight(files, layout, settings)) {
    log(`${path} ${text}`);
    if (byStranger) continue;
    events.add(`put right ${path} ${clock.bootId()} ${clock.monoMs()}`, { kind: 'note', text: `${path} ${text}` });
  }
}

/** The root of trust and its copy. If both are gone, this is reported from now on, not only when a release comes. */
async function withTrust(appliance: Appliance): Promise<Appliance> {
  const { files, layout, identity, isIdentityLost, events, clock, log, notices = [] } = appliance;
  const pinned = isIdentityLost === true ? null : identity.rootDigest;
  const { isBegunAnew, notice } = await settleTrust({ files, layout, pinned });
  if (isBegunAnew) {
    log(begunAnewText);
    events.add(`trust begun anew ${clock.bootId()} ${clock.monoMs()}`, { kind: 'note', text: begunAnewText });
  }
  if (notice === null) return appliance;
  log(notice);
  events.add(`trust lost ${clock.bootId()}`, { kind: 'note', text: notice });
  return { ...appliance, trustNotice: notice, notices: [...notices, notice] };
}

/** An agent that cannot check in tells nobody but its own log. */
function withAgentKeys(appliance: Appliance): Appliance {
  const { events, clock, log, notices = [] } = appliance;
  const found = mendAgentKeys(appliance);
  if (found === 'restored') {
    events.add(`agent keys ${clock.bootId()} ${clock.monoMs()}`, {
      kind: 'note',
      text: transactionTexts.credentialsRestored,
    });
  }
  if (found !== 'lost') return appliance;
  log(transactionTexts.credentialsLost);
  events.add(`agent keys lost ${clock.bootId()}`, { kind: 'note', text: transactionTexts.credentialsLost });
  return { ...appliance, notices: [...notices, transactionTexts.credentialsLost] };
}

async function wholeRun(line: CommandLine): Promise<number> {
  const opened = openAppliance(line, (text) => line.print(`${line.clock.monoMs()} ${inOneLine(text)}`));
  tidyPlaces(opened);
  tidyPagePlaces(opened);
  tellOfDamage(opened);
  const appliance = withAgentKeys(await withTrust(opened));
  const state = await stateOrStandBy(appliance);
  const after = state === null ? null : await runWithRoom(appliance, state);
  tellOfDamage(appliance);
  if (after === null || after.trial === null) return 0;
  const { makesWay } = await import('../transaction/effects.ts');
  // The version on trial must start now, and only launch starts it.
  return makesWay(appliance, after) ? exitAgain : 0;
}

/**
 * `run`: one run, from the state that it finds until it rests. Finding another one at work is not an error.
 * what-may-stop.ts lists what may stop it.
 * @returns the exit status: 0, {@link exitAgain}, or 1 when it was stopped
 */
export async function runOnce(line: CommandLine): Promise<number> {
  let lock: Lock | null = null;
  try {
    closePlace(line.files, line.layout.updater);
    lock = takeLock(line.layout);
    if (lock === null) {
      line.print(runTexts.anotherAtWork);
      return 0;
    }
    return await wholeRun(line);
  } catch (error) {
    const { publishStop } = await import('./what-may-stop.ts');
    // An unexpected error needs its stack.
    if (publishStop(line, error) === 'defect') throw error;
    return exitFailed;
  } finally {
    lock?.release();
  }
}
