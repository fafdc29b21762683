import type { Desired } from '../../protocol/check-in.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Appliance, RunMemory } from '../appliance.ts';
import { loadRemembered } from '../check-in.ts';
import type { MachineEvent } from '../machine-event.ts';
import { keepAgentUp } from './keep-agent.ts';
import { publishStatus } from './publish-status.ts';
import { isBackingOff } from './refused.ts';
import { reportToServer } from './report.ts';
import { takeRequest } from './requests.ts';
import { countWindow } from './window.ts';

/** The newest decision of the server, when it is something to install (S26, S60: state is reconciled, not commanded). */
function choose(appliance: Appliance, state: StateBody, desired: Desired | null): MachineEvent {
  const release = desired?.release;
  if (desired === null || release === null || release === undefined || release.component !== 'app')
    return { kind: 'nothing' };
  if (release.manifest === state.app.committed.manifest) return { kind: 'nothing' };
  if (state.quarantine.some((entry) => entry.manifest === release.manifest)) return { kind: 'nothing' };
  if (isBackingOff(appliance, release.manifest)) return { kind: 'nothing' };
  const source = { kind: 'server', path: desired.path } as const;
  return { kind: 'take', choice: { kind: 'update', ...release, source, waits: true } };
}

/** What an idle updater does: people first, then the server, then the agent is started where nobody else would. */
export async function ask(appliance: Appliance, state: StateBody, memory: RunMemory): Promise<MachineEvent> {
  const requested = await takeRequest(appliance, state);
  if (requested === 'asked') {
    memory.forced = true;
    return ask(appliance, state, memory);
  }
  // What a person changed, the server hears at once: its answer may be another one now.
  if (requested !== null) {
    memory.forced = true;
    // The answer is there at once, however long the transaction takes.
    await publishStatus(appliance, state);
    return requested;
  }
  const window = countWindow(appliance, state);
  if (window !== null) return window;
  await reportToServer(appliance, state, memory, { fresh: false });
  const event = choose(appliance, state, loadRemembered(appliance.files, appliance.layout).desired);
  if (event.kind !== 'nothing') return event;
  // A newer release would have come first.
  await keepAgentUp(appliance, state);
  return event;
}
