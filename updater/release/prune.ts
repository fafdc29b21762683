import { join } from 'node:path';
import { components, type SlotName } from '../../protocol/component.ts';
import type { Layout } from '../../protocol/layout.ts';
import { sealName } from '../../protocol/seal.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import type { Files } from '../effects/files.ts';
import { readSeal } from './verify-slot.ts';

const slotNames: readonly SlotName[] = ['0', '1', '2', 'factory'];

/**
 * Removes what no transaction and no slot needs: work of ended transactions, and runtimes that no sealed slot names. It
 * never removes a runtime that committed, previous or factory names (S55): if the seal of one of them cannot be read,
 * it is unknown what it names, and every runtime stays.
 * @returns the paths that were removed
 */
export function prune(files: Files, layout: Layout, state: StateBody): string[] {
  const removed: string[] = [];
  const remove = (path: string) => {
    files.removeTree(path);
    removed.push(path);
  };
  const inFlight = state.transaction === null ? null : String(state.transaction.tx);
  const ended = files.list(layout.work).filter((name) => name !== inFlight);
  for (const name of ended) remove(join(layout.work, name));
  if (ended.length > 0) files.syncDirectory(layout.work);
  // A transaction in flight may be about to name a runtime that no seal names yet.
  const named = inFlight === null ? runtimesNamed(files, layout, state) : null;
  if (named !== null) {
    for (const name of files.list(layout.runtimes)) {
      if (!named.has(name)) remove(join(layout.runtimes, name));
    }
  }
  return removed;
}

function runtimesNamed(files: Files, layout: Layout, state: StateBody): Set<string> | null {
  const named = new Set<string>();
  const mustBeKnown = new Set<string>();
  for (const component of ['app', 'updater'] as const) {
    const { committed, previous } = state[component];
    for (const slot of [committed.slot, previous?.slot ?? committed.slot])
      mustBeKnown.add(layout.slot(component, slot));
  }
  for (const component of components) {
    for (const slot of slotNames) {
      const directory = layout.slot(component, slot);
      const seal = readSeal(files, directory);
      if (seal?.runtime) named.add(seal.runtime.digest);
      // A factory slot, or any slot with a seal that does not parse: damaged is not the same as unused.
      const exists = files.stat(slot === 'factory' ? directory : join(directory, sealName)) !== null;
      if (seal === null && (mustBeKnown.has(directory) || exists)) return null;
    }
  }
  return named;
}
