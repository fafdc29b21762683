import type { Row, StateBody } from '../../protocol/state-record.ts';
import { type Appliance, freshMemory, type RunMemory } from '../appliance/appliance.ts';
import { forgetArmedState } from '../appliance/armed-state.ts';
import { handedIn, sweepHanded } from '../identity/handed.ts';
import type { Effect, MachineEvent } from '../machine/event.ts';
import { afterCrash, next, table } from '../machine/table.ts';
import { markRow } from '../outcome/timeline.ts';
import { saveState } from '../record/state-store.ts';
import { prune } from '../release/prune.ts';
import { publishPath } from '../server/publish-path.ts';
import { reportToServer } from '../status/report.ts';
import { closeWindow } from '../transaction/window.ts';
import { runTexts } from '../words/texts.ts';
import { ask } from './ask.ts';
import { tell } from './tell.ts';

/** Steps of one run: far more than one transaction has, including a trial of 30 minutes with its notes of time. */
const stepsMax = 100_000;

export type RunEffect = (effect: Effect, state: StateBody) => Promise<MachineEvent>;
export type Persist = (state: StateBody) => void;
export type OnEvent = (before: StateBody, event: MachineEvent, after: StateBody) => Promise<void>;

/**
 * Whatever begins a transaction, the record names it by an id that is never given again, even when a disk is restored.
 */
function identified(appliance: Appliance, event: MachineEvent): MachineEvent {
  const begins = event.kind === 'take' || event.kind === 'return';
  return begins ? { ...event, id: appliance.newTransactionId() } : event;
}

/** The effects of the table, wired to this appliance. */
function effectsOf(appliance: Appliance, memory: RunMemory): RunEffect {
  return async (effect, state) => {
    if (effect === 'ask') return identified(appliance, await ask(appliance, state, memory));
    if (effect === 'close') return closeWindow(appliance, state);
    const { transactionEffect } = await import('../transaction/effects.ts');
    const { recordEnd } = await import('../outcome/outcome.ts');
    const found = await transactionEffect(effect, appliance, state, memory, (who, about, how) =>
      reportToServer(who, about, memory, how),
    );
    return recordEnd(appliance, state, found);
  };
}

/** After one of these events the run ends: it has nothing more to do, and the next run tries again. */
const restful: ReadonlySet<MachineEvent['kind']> = new Set([
  'nothing',
  'interrupted',
  'agent-stays',
  'snapshot-failed',
]);

/** Rows in which launch starts nothing: a transaction that leaves them backwards starts the committed version again. */
const startsNothing: ReadonlySet<Row> = new Set(['quiesced', 'snapped']);

function isRest(event: MachineEvent): boolean {
  return restful.has(event.kind);
}

/**
 * One run: effect, event, next state, persist, and only then reports and the next effect. A crash anywhere leaves a row
 * whose effect can be repeated or which itself says where to continue.
 */
export async function runLoop(
  loaded: StateBody,
  run: RunEffect,
  persist: Persist,
  onRow: (before: StateBody, after: StateBody) => Promise<void>,
  onEvent: OnEvent = async () => undefined,
): Promise<StateBody> {
  let state = afterCrash(loaded);
  if (state !== loaded) persist(state);
  for (let step = 0; step < stepsMax; step += 1) {
    const event = await run(table[state.row].effect, state);
    const after = next(state, event);
    if (after !== state) persist(after);
    const before = state;
    state = after;
    if (after.row !== before.row) await onRow(before, after);
    await onEvent(before, event, after);
    if (isRest(event)) return state;
  }
  return state;
}

/** What cannot be removed only takes space: it must not end a run, and the next run tries again. */
function tidy(appliance: Appliance, state: StateBody): void {
  const { files, layout, log } = appliance;
  try {
    // This also covers an updater that was given up between its probe and its trial.
    forgetArmedState(appliance);
    prune(files, layout, state);
    sweepHanded({ files, layout, pageUser: appliance.settings.pageUser });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log(runTexts.notRemoved(error.message));
  }
}

function isUntidy({ files, layout }: Appliance): boolean {
  return (
    [layout.work, handedIn(layout)].some((path) => files.list(path).length > 0) ||
    files.stat(layout.armedState) !== null
  );
}

/** One run of the updater on this appliance, from the state that it finds until it rests. */
export async function runUpdater(appliance: Appliance, loaded: StateBody, forced: boolean): Promise<StateBody> {
  const memory = freshMemory(forced);
  const onRow = async (before: StateBody, after: StateBody) => {
    appliance.log(
      `${before.row} -> ${after.row}${after.transaction === null ? '' : ` (${after.transaction.version})`}`,
    );
    markRow(appliance, after);
    // A switch was given up before it began: the run ends here, and nothing else would start the stopped agent.
    if (after.row === 'sealed' && startsNothing.has(before.row)) await appliance.processes.startAgent();
    if (after.row === 'safe' && before.row !== 'safe')
      await (await import('../recovery/safe-mode.ts')).enterSafe(appliance, after);
    if (before.row === 'safe' && after.row === 'idle')
      await (await import('../recovery/safe-mode.ts')).leaveSafe(appliance);
    if (before.row === 'reverting' && after.row === 'idle') {
      const { serveAgain } = await import('../transaction/effects.ts');
      const recovered = await serveAgain(appliance, before, memory);
      if (recovered !== null) (await import('../outcome/outcome.ts')).recordRecovered(appliance, before, recovered);
    }
    if ((after.row !== 'idle' && after.row !== 'safe') || before.row === 'closing') return;
    // However it ended, what it fetched or was brought is no longer needed: a bad stick must not fill the disk.
    tidy(appliance, after);
    // A transaction ended: the next one starts afresh, and the server hears about this one at once.
    Object.assign(memory, freshMemory(true), { requestsTaken: memory.requestsTaken });
  };
  const persist = (state: StateBody) => {
    saveState(appliance.files, appliance.layout, state);
  };
  if (loaded.transaction === null && isUntidy(appliance)) tidy(appliance, loaded);
  publishPath(appliance);
  // The timeline shows a run that continues after a crash or a reboot.
  markRow(appliance, loaded);
  const onEvent: OnEvent = (before, event, after) => tell(appliance, memory, before, event, after);
  const after = await runLoop(loaded, effectsOf(appliance, memory), persist, onRow, onEvent);
  appliance.counter.giveBack();
  return after;
}
