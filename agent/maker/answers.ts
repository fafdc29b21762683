import type { Database } from 'better-sqlite3';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import { eventTextMax } from '../../protocol/event.ts';
import type { Outbox } from '../outbox.ts';
import { dutyTexts } from '../texts.ts';
import { WorkTable } from './table.ts';
import { dutyValuesIn } from './values.ts';

/** Records of one run. */
export const recordsPerRunMax = 20;

/** The stores of a maker's work, each table once: several pieces of work may see one. */
export class Stores {
  readonly database: Database;
  readonly outbox: Outbox;
  readonly #tables = new Map<string, WorkTable>();

  constructor(database: Database, outbox: Outbox) {
    this.database = database;
    this.outbox = outbox;
  }

  tableOf(owner: string): WorkTable {
    const table = this.#tables.get(owner) ?? new WorkTable(this.database, owner);
    this.#tables.set(owner, table);
    return table;
  }
}

/** What a maker's work may ask of the agent, and how it is answered. */
export interface Answers {
  /** A run begins. */
  begin(): void;
  /** @throws an error whose message the work gets */
  answer(method: string, args: unknown): unknown;
}

/** The text of a secret that the module defines; null: the site has none. */
export type Secrets = (name: string) => Promise<string | null>;

const wholeNumber = z.int().min(0);
const limitShape = wholeNumber.nullish().transform((limit) => limit ?? undefined);

/** @param owner whose values, rows and records they are */
export function answersFor(stores: Stores, owner: string, secrets: Secrets): Answers {
  const { outbox } = stores;
  const values = dutyValuesIn(stores.database, owner);
  const table = stores.tableOf(owner);
  let records = 0;
  const handlers: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
    'store.get': ([key]) => values.get(z.string().parse(key)),
    'store.set': ([key, value]) => values.set(z.string().parse(key), value),
    'store.delete': ([key]) => values.delete(z.string().parse(key)),
    'table.add': ([row]) => table.add(row),
    'table.rows': ([after, limit]) => table.rows(wholeNumber.parse(after), limitShape.parse(limit)),
    'table.newest': ([limit]) => table.newest(wholeNumber.parse(limit)),
    'table.removeUpTo': ([n]) => table.removeUpTo(wholeNumber.parse(n)),
    'table.count': () => table.count(),
    'secrets.get': ([name]) => secrets(z.string().parse(name)),
    'records.add': ([value]) => {
      records += 1;
      if (records > recordsPerRunMax) throw new RangeError(dutyTexts.tooManyRecords(recordsPerRunMax));
      return addRecord(outbox, owner, value);
    },
  };
  return {
    begin: () => {
      records = 0;
    },
    answer: (method, args) => {
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (handler === undefined) throw new RangeError(dutyTexts.noMethod(method));
      return handler(z.array(z.unknown()).parse(args)) ?? null;
    },
  };
}

/** Stored before anything else is done with it; its digest proves its text. @returns its name, never given twice */
function addRecord(outbox: Outbox, owner: string, value: unknown): string {
  const text = canonicalize(value) ?? 'null';
  if (text.length > eventTextMax) throw new RangeError(dutyTexts.tooLong(text.length, eventTextMax));
  const counter = `record:${owner}` as const;
  return outbox.database
    .transaction(() => {
      const n = outbox.counter(counter) + 1;
      outbox.raise(counter, n);
      const name = `${owner}/${n}`;
      outbox.append({ kind: 'record', text, record: { name, sha256: sha256(text) } });
      return name;
    })
    .immediate();
}
