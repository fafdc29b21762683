import type { Layout } from '../../protocol/layout.ts';
import type { Clock } from '../effects/clock.ts';
import { replaceFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { RunProgram } from '../effects/programs.ts';
import type { User } from '../identity/settings.ts';
import { readEnds, readUpdaterEnds } from '../launch/end.ts';
import { processesTexts } from '../words/texts.ts';
import { type AgentFacts, type ProcessControl, ProcessControlError } from './process-control.ts';

/** The units that this file names; they are in image/system/units. */
const agentUnit = 'holdfast-agent.service';
const updaterUnit = 'holdfast-updater.service';

const unitsAtBoot = [
  agentUnit,
  updaterUnit,
  'holdfast-updater.timer',
  'holdfast-overdue.service',
  'holdfast-overdue.timer',
  'holdfast-requests.path',
  'holdfast-hint.path',
  'holdfast-page.socket',
] as const;

const systemctl = '/usr/bin/systemctl';
const journalctl = '/usr/bin/journalctl';
/** Looking at a unit takes milliseconds; a busy machine may need longer. */
const lookTimeoutMs = 15_000;
/** A stop takes 5 s, SIGKILL, and as long again; a start runs launch first, which reads every seal. */
const orderTimeoutMs = 90_000;
/** After SIGKILL, nothing of the agent may be left; the kernel needs a moment. */
const goneWithinMs = 5_000;
const goneLookMs = 50;
const outputBytesMax = 16 * 1024;
/** Lines of the last output that are requested: more than the bytes hold. */
const outputLines = 400;

const stateOf: Readonly<Record<string, AgentFacts['state']>> = {
  active: 'active',
  reloading: 'active',
  activating: 'starting',
  deactivating: 'waiting',
  failed: 'failed',
  inactive: 'inactive',
};

export interface SystemdEffects {
  readonly files: Files;
  readonly layout: Layout;
  readonly clock: Pick<Clock, 'monoMs' | 'delay'>;
  readonly run: RunProgram;
  /** The user of the agent's processes. */
  readonly agentUser: User | null;
}

interface Shown {
  readonly state: AgentFacts['state'];
  readonly pid: number | null;
  readonly invocation: string;
}

/** systemd in the field, through its own command line. */
export function systemdControl(effects: SystemdEffects): ProcessControl {
  /** The output of an ended run no longer changes. */
  let output: { readonly invocation: string; readonly text: string } | null = null;

  async function order(...words: readonly string[]): Promise<string | null> {
    const { code, complaint } = await effects.run(systemctl, words, orderTimeoutMs);
    if (code === null) throw unreachable(words[0] ?? '', complaint);
    return code === 0 ? null : complaint;
  }

  async function outputOf(invocation: string | null): Promise<string> {
    if (invocation === null) return '';
    if (output?.invocation === invocation) return output.text;
    const words = [
      '--quiet',
      '--no-pager',
      '--output=cat',
      `--lines=${outputLines}`,
      `_SYSTEMD_INVOCATION_ID=${invocation}`,
    ];
    const { code, stdout } = await effects.run(journalctl, words, lookTimeoutMs);
    // The output is wanted as evidence, but nothing depends on it.
    if (code !== 0) return '';
    output = { invocation, text: Buffer.from(stdout).subarray(-outputBytesMax).toString('utf8') };
    return output.text;
  }

  return {
    isolation: 'systemd',
    async agent(): Promise<AgentFacts> {
      const { state, pid } = await show(effects.run);
      const { crashes, invocation, exit } = readEnds(effects.files, effects.layout);
      return { state, pid, crashes, lastExit: exit, lastOutput: await outputOf(invocation) };
    },
    async startAgent() {
      await order('reset-failed', agentUnit);
      // A start that launch refuses, or that fails, shows in the facts; here it is not an error.
      await order('start', agentUnit);
    },
    async stopAgent() {
      const { invocation } = await show(effects.run);
      // Written before the stop: the end that follows is an ordered one, and launch must not count it.
      replaceFile(effects.files, effects.layout.agentStopping, Buffer.from(invocation), 0o600);
      const complaint = await order('stop', agentUnit);
      if (complaint !== null)
        throw new ProcessControlError('process-control-refused', processesTexts.notStopped(complaint));
      await proveGone(effects);
    },
    async updaterOutput() {
      return outputOf(readUpdaterEnds(effects.files, effects.layout)?.invocation ?? null);
    },
    async requestRun() {
      await order('start', '--no-block', updaterUnit);
    },
  };
}

function unreachable(what: string, complaint: string): ProcessControlError {
  return new ProcessControlError('process-control-unreachable', processesTexts.systemdSilent(what, complaint));
}

async function show(run: RunProgram): Promise<Shown> {
  const properties = ['ActiveState', 'SubState', 'MainPID', 'InvocationID', 'LoadState'];
  const { code, stdout, complaint } = await run(
    systemctl,
    ['show', `--property=${properties}`, agentUnit],
    lookTimeoutMs,
  );
  if (code !== 0) throw unreachable('show', complaint);
  const facts = new Map(
    stdout.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const isWaiting = facts.get('SubState') === 'auto-restart';
  const state = isWaiting ? 'waiting' : stateOf[facts.get('ActiveState') ?? ''];
  if (state === undefined || facts.get('LoadState') !== 'loaded') {
    throw new ProcessControlError(
      'process-control-refused',
      processesTexts.noUsableUnit(agentUnit, facts.get('LoadState'), facts.get('ActiveState')),
    );
  }
  const pid = Number(facts.get('MainPID'));
  return { state, pid: state === 'active' && pid > 0 ? pid : null, invocation: facts.get('InvocationID') ?? '' };
}

/**
 * Starts what runs on an appliance from now on; at each later boot, systemd does this itself.
 * @throws ProcessControlError
 */
export async function startUnits(run: RunProgram): Promise<void> {
  const { code, complaint } = await run(systemctl, ['start', '--no-block', ...unitsAtBoot], orderTimeoutMs);
  if (code !== 0) throw unreachable('start', complaint);
}

/** Asks for one more run soon. If that fails, the timer starts it. */
export async function askForRun(run: RunProgram): Promise<void> {
  await run(systemctl, ['start', '--no-block', updaterUnit], orderTimeoutMs);
}

/** Everything that the agent left behind belongs to its user, and that user cannot change this. */
async function proveGone({ files, clock, agentUser }: SystemdEffects): Promise<void> {
  if (agentUser === null) return;
  for (const endMs = clock.monoMs() + goneWithinMs; ; await clock.delay(goneLookMs)) {
    const left = files
      .list('/proc')
      .filter((name) => /^\d+$/.test(name) && files.stat(`/proc/${name}`)?.uid === agentUser.uid);
    if (left.length === 0) return;
    if (clock.monoMs() < endMs) continue;
    throw new ProcessControlError('agent-not-gone', processesTexts.processesOutlive(left.slice(0, 10).join(', ')));
  }
}
