import type { Layout } from '../protocol/layout.ts';
import { type Installed, type StateBody, stateBodyShape, stateSchema } from '../protocol/state-record.ts';
import type { Files } from './effects/files.ts';
import { readRecord, writeRecord } from './record-store.ts';

export class StateError extends Error {
  readonly code: 'state-missing' | 'state-unreadable' | 'state-from-the-future';
  constructor(code: StateError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** @throws StateError when there is no record, or one that this version does not understand */
export function loadState(files: Files, layout: Layout): StateBody {
  const record = readRecord(files, layout.stateRecords);
  if (record === null) throw new StateError('state-missing', `no state record in ${layout.updater}: run setup first`);
  if (record.schema > stateSchema) {
    throw new StateError(
      'state-from-the-future',
      `the state record has schema ${record.schema}, this updater knows ${stateSchema}`,
    );
  }
  const parsed = stateBodyShape.safeParse(record.body);
  if (!parsed.success) {
    throw new StateError('state-unreadable', 'the state record does not have its shape', { cause: parsed.error });
  }
  return parsed.data;
}

/** Durable when it returns. */
export function saveState(files: Files, layout: Layout, state: StateBody): number {
  return writeRecord(files, layout.stateRecords, stateSchema, state).seq;
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
