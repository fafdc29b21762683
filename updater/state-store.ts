import type { Layout } from '../protocol/layout.ts';
import { type Installed, type StateBody, stateBodyShape, stateSchema } from '../protocol/state-record.ts';
import type { Files } from './effects/files.ts';
import { knownRecord, readRecord, writeRecord } from './record-store.ts';

export class StateError extends Error {
  readonly code: 'state-missing' | 'state-unreadable' | 'state-from-the-future';
  constructor(code: StateError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * A record of a newer schema is read as long as its row and the fields that this version needs are there: the rest is
 * copied ({@link stateSchema}).
 * @throws StateError when there is no record, or one that this version does not understand
 */
export function loadState(files: Files, layout: Layout): StateBody {
  const record = readRecord(files, layout.stateRecords);
  if (record === null) throw new StateError('state-missing', `no state record in ${layout.updater}: run setup first`);
  const parsed = stateBodyShape.safeParse(record.body);
  if (!parsed.success) {
    if (record.schema > stateSchema) {
      const text = `the state record has schema ${record.schema}, this updater knows ${stateSchema}`;
      throw new StateError('state-from-the-future', text, { cause: parsed.error });
    }
    throw new StateError('state-unreadable', 'the state record does not have its shape', { cause: parsed.error });
  }
  return parsed.data;
}

/** Until an updater is committed, the one before it must be able to read what it writes. */
function isOfUnprovenUpdater({ trial, transaction }: StateBody): boolean {
  return trial?.component === 'updater' || transaction?.component === 'updater';
}

/** Durable when it returns. What a newer updater wrote stays a record of its schema. */
export function saveState(files: Files, layout: Layout, state: StateBody): number {
  const known = knownRecord(files, layout.stateRecords)?.schema ?? stateSchema;
  const schema = isOfUnprovenUpdater(state) ? known : Math.max(known, stateSchema);
  return writeRecord(files, layout.stateRecords, schema, state).seq;
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
