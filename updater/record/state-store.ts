import type { Layout } from '../../protocol/layout.ts';
import { type Installed, type StateBody, stateBodyShape, stateSchema } from '../../protocol/state-record.ts';
import type { Files } from '../effects/files.ts';
import { rulesOf } from '../machine/component-rules.ts';
import { recordTexts } from '../words/texts.ts';
import { knownRecord, readRecord, rewriteRecord } from './record-store.ts';

export class StateError extends Error {
  readonly code: 'state-missing' | 'state-unreadable' | 'state-from-the-future';
  constructor(code: StateError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * A record of a newer schema is read as long as it has its row and the fields that this version needs: the rest is
 * copied ({@link stateSchema}).
 * @throws StateError when there is no record, or one that this version does not understand
 */
export function loadState(files: Files, layout: Layout): StateBody {
  const record = readRecord(files, layout.stateRecords);
  if (record === null) throw new StateError('state-missing', recordTexts.noRecord(layout.updater));
  const parsed = stateBodyShape.safeParse(record.body);
  if (!parsed.success) {
    if (record.schema > stateSchema) {
      const text = recordTexts.newerSchema(record.schema, stateSchema);
      throw new StateError('state-from-the-future', text, { cause: parsed.error });
    }
    throw new StateError('state-unreadable', recordTexts.wrongShape, { cause: parsed.error });
  }
  return parsed.data;
}

/** Until an updater is committed, the previous one must be able to read what it writes. */
function isOfUnprovenUpdater({ trial, transaction }: StateBody): boolean {
  return [trial, transaction].some((one) => one !== null && rulesOf(one.component).isProbed);
}

/** Durable when it returns. A newer updater's record keeps its schema. */
export function saveState(files: Files, layout: Layout, state: StateBody): number {
  const known = knownRecord(files, layout.stateRecords)?.schema ?? stateSchema;
  const schema = isOfUnprovenUpdater(state) ? known : Math.max(known, stateSchema);
  // One that is no file any more was set aside: it is made again, and the other is the record until then.
  return rewriteRecord(files, layout.stateRecords, layout.updater, schema, state).seq;
}

/** An appliance that has just been set up runs its factory versions. */
export function firstState(app: Omit<Installed, 'slot'>, updater: Omit<Installed, 'slot'>): StateBody {
  return {
    row: 'idle',
    committed: { app: 'factory', updater: 'factory' },
    trial: null,
    floor: { app: app.securityVersion, updater: updater.securityVersion },
    app: { committed: { ...app, slot: 'factory' }, previous: null },
    updater: { committed: { ...updater, slot: 'factory' }, previous: null },
    lastTx: 0,
    quarantine: [],
    windowUsedMs: 0,
    safe: null,
    transaction: null,
  };
}
