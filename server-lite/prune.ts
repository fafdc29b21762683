import { type Core, tellOnce } from './core.ts';
import type { Tally } from './store/events.ts';
import { type Keep, type KeepLimit, keepLimits } from './store/keep.ts';
import { eventTexts } from './texts.ts';

/** Events that one step removes: a check-in never waits longer than that. */
const stepMax = 200;
/** A list may exceed its limit by this factor, so that not every event removes one. */
const slack = 1.05;
/** How often it looks for lists that are too long. */
const lookMs = 60_000;

export interface Pruner {
  /** One bounded step. @returns false when there is nothing to do */
  step(): boolean;
}

type PrunedCore = Pick<Core, 'events' | 'monoMs' | 'nowMs' | 'log'>;

/** Removes the oldest events of each worth and writer of an appliance that has too many, and records there how many. */
export function prunerOf(core: PrunedCore, limits: Readonly<Record<Keep, KeepLimit>> = keepLimits): Pruner {
  let due: Tally[] = [];
  let lookedMs = Number.NEGATIVE_INFINITY;
  const isOver = ({ keep, events, bytes }: Tally, times: number): boolean =>
    events > limits[keep].events * times || bytes > limits[keep].bytes * times;
  return {
    step: () => {
      if (due.length === 0) {
        if (core.monoMs() - lookedMs < lookMs) return false;
        lookedMs = core.monoMs();
        due = core.events.tallies().filter((tally) => isOver(tally, slack));
      }
      const one = due[0];
      if (one === undefined) return false;
      const limit = limits[one.keep];
      const left = core.events.dropOldest(one, limit, stepMax);
      if (isOver(left, 1) && left.dropped > one.dropped) {
        due[0] = left;
        return true;
      }
      due.shift();
      if (left.dropped > 0) tell(core, left, limit);
      return true;
    },
  };
}

/** One record for each worth and writer, which says how many were removed so far. */
function tell(core: PrunedCore, { appliance, role, keep, dropped }: Tally, { events, bytes, name }: KeepLimit): void {
  const whose = role === 'server' ? eventTexts.ofServer : eventTexts.ofProgram(role);
  tellOnce(
    core,
    appliance,
    `dropped-${role}-${keep}`,
    'events-dropped',
    eventTexts.removed(dropped, name, eventTexts.newestKept(events, whose, Math.round(bytes / 1024 / 1024))),
  );
}
