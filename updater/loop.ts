import type { Row, StateBody } from '../protocol/state-record.ts';
import { type Appliance, freshMemory, type RunMemory } from './appliance.ts';
import { forgetArmedState } from './armed-state.ts';
import { afterCrash, next, table } from './machine.ts';
import type { Effect, MachineEvent } from './machine-event.ts';
import { prune } from './release/prune.ts';
import { saveState } from './state-store.ts';
import { ask } from './steps/ask.ts';
import { closeWindow } from './steps/window.ts';
import { markRow } from './timeline.ts';

/** Steps of one run: far more than one transaction has, a trial of 30 minutes with its notes of time included. */
const stepsMax = 100_000;

export type RunEffect = (effect: Effect, state: StateBody) => Promise<MachineEvent>;
export type Persist = (state: StateBody) => void;

/** The effects of the table, wired to this appliance. */
function effectsOf(appliance: Appliance, memory: RunMemory): RunEffect {
  return async (effect, state) => {
    if (effect === 'ask') return ask(appliance, state, memory);
    if (effect === 'close') return closeWindow(appliance, state);
    const { transactionEffect } = await import('./transaction-effects.ts');
    return transactionEffect(effect, appliance, state, memory);
  };
}

/** A run has nothing more to do once an effect says so: the next one tries again. */
const restful: ReadonlySet<MachineEvent['kind']> = new Set([
  'nothing',
  'interrupted',
  'agent-stays',
  'snapshot-failed',
]);

/** Rows that launch starts nothing in: who leaves them backwards starts the committed version again. */
const startsNothing: ReadonlySet<Row> = new Set(['quiesced', 'snapped']);

function isRest(event: MachineEvent): boolean {
  return restful.has(event.kind);
}

/**
 * One run: effect, event, next state, persist, and only then the next effect. A crash anywhere leaves a row whose effect
 * can be repeated, or which says itself where to carry on.
 */
export async function runLoop(
  loaded: StateBody,
  run: RunEffect,
  persist: Persist,
  onRow: (before: StateBody, after: StateBody) => Promise<void>,
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
    if (isRest(event)) return state;
  }
  return state;
}

/** What can not be removed takes space and nothing else: it must not end a run, and the next one tries again. */
function tidy(appliance: Appliance, state: StateBody): void {
  const { files, layout, log } = appliance;
  try {
    // Also of an updater that was given up between its probe and its trial.
    forgetArmedState(appliance);
    prune(files, layout, state);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log(`what is not needed any more can not be removed: ${error.message}`);
  }
}

function isUntidy({ files, layout }: Appliance): boolean {
  return files.list(layout.work).length > 0 || files.stat(layout.armedState) !== null;
}

/** One run of the updater on this appliance, from the state that it finds to rest. */
export async function runUpdater(appliance: Appliance, loaded: StateBody, forced: boolean): Promise<StateBody> {
  const memory = freshMemory(forced);
  const onRow = async (before: StateBody, after: StateBody) => {
    appliance.log(
      `${before.row} -> ${after.row}${after.transaction === null ? '' : ` (${after.transaction.version})`}`,
    );
    markRow(appliance, after);
    // A switch that was given up before it began: the run ends here, and nobody else would start what was stopped.
    if (after.row === 'sealed' && startsNothing.has(before.row)) await appliance.processes.startAgent();
    if (after.row === 'safe' && before.row !== 'safe')
      await (await import('./steps/proof.ts')).enterSafe(appliance, after);
    if (before.row === 'safe' && after.row === 'idle') await (await import('./steps/proof.ts')).leaveSafe(appliance);
    const ofAgent = before.transaction?.component === 'app';
    if (ofAgent && before.row === 'reverting' && after.row === 'idle') {
      const { serveAgain } = await import('./steps/revert.ts');
      await serveAgain(appliance, before, memory);
    }
    if ((after.row !== 'idle' && after.row !== 'safe') || before.row === 'closing') return;
    // However it ended, what it fetched or was brought is not needed any more: a bad stick must not fill the disk.
    tidy(appliance, after);
    // A transaction ended: the next one starts from nothing, and the server hears of this one at once.
    Object.assign(memory, freshMemory(true));
  };
  const persist = (state: StateBody) => {
    saveState(appliance.files, appliance.layout, state);
  };
  if (loaded.transaction === null && isUntidy(appliance)) tidy(appliance, loaded);
  // Whoever carries on after a crash or a reboot is part of the story.
  markRow(appliance, loaded);
  return runLoop(loaded, effectsOf(appliance, memory), persist, onRow);
}
