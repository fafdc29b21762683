import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { putAsideDirectory, quarantineDirectory, snapshotDirectory } from '../../updater/agent-data/snapshot.ts';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';

/** Numbers of readings, each with its digest. */
export type Readings = ReadonlyMap<number, string>;

/** Data that no agent looks at any more: what a failed trial made, or what a person put aside for data of before. */
export interface Aside {
  readonly kind: 'trial' | 'put-aside';
  readonly tx: number;
}

/** Where the readings of one appliance are, at one moment. */
export interface Sight {
  /** What the server acknowledged, by the agent's own outbox. */
  readonly acknowledged: Readings;
  /** Readings that the outbox names more than once. */
  readonly doubled: readonly number[];
  readonly state: Readings;
  /** The factory agent has a state of its own. */
  readonly factory: Readings;
  readonly asides: readonly { readonly aside: Aside; readonly readings: Readings }[];
}

const reading = z.object({ n: z.number(), sha256: z.string() });
const recordBody = z.object({ record: z.object({ name: z.string(), sha256: z.string() }) });
const stateFile = /^state\.db(-wal)?(\.\d+)?$/;

/** What an agent has not begun yet has no rows. */
function rowsOf<Row>(path: string, table: string, shape: z.ZodType<Row>, sql: string): Row[] {
  if (!existsSync(path)) return [];
  const database = readOnlyDatabase(path);
  try {
    const hasBegun = database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table) !== undefined;
    return hasBegun ? z.array(shape).parse(database.prepare(sql).all()) : [];
  } finally {
    database.close();
  }
}

function readingsOf(path: string): Readings {
  const rows = rowsOf(path, 'readings', reading, 'SELECT n, sha256 FROM readings');
  return new Map(rows.map(({ n, sha256 }) => [n, sha256]));
}

/**
 * What lies still is copied first: to open a database may change what is beside it.
 * @returns null: it was removed meanwhile
 */
function readingsOfCopy(directory: string): Readings | null {
  const found = new Map<number, string>();
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-soak-copy-'));
  try {
    const names = readdirSync(directory);
    for (const name of names) {
      // The log of a database lies beside it, also where both have got a number.
      const match = stateFile.exec(name);
      if (match !== null)
        copyFileSync(join(directory, name), join(scratch, `state${match[2] ?? ''}.db${match[1] ?? ''}`));
    }
    if (readdirSync(directory).length < names.length) return null;
    for (const name of readdirSync(scratch).filter((one) => one.endsWith('.db')))
      for (const [n, sha256] of readingsOf(join(scratch, name))) found.set(n, sha256);
    return found;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const directoryOf = { trial: quarantineDirectory, 'put-aside': putAsideDirectory } as const;

/** Only where no transaction is under way: before its end a file of it may be anywhere. */
export function asidesOf({ layout }: ApplianceBox): Aside[] {
  const transactions = existsSync(layout.snapshots) ? readdirSync(layout.snapshots).map(Number) : [];
  const all = transactions.flatMap((tx) => (['trial', 'put-aside'] as const).map((kind) => ({ kind, tx })));
  return all.filter(({ kind, tx }) => {
    const directory = directoryOf[kind](layout, tx);
    return existsSync(directory) && readdirSync(directory).some((name) => stateFile.test(name));
  });
}

export function readingsAside({ layout }: ApplianceBox, { kind, tx }: Aside): Readings | null {
  return readingsOfCopy(directoryOf[kind](layout, tx));
}

/** The data that a switch copied, for going back to it. */
export function readingsBefore({ layout }: ApplianceBox, tx: number): Readings | null {
  return readingsOfCopy(snapshotDirectory(layout, tx));
}

function outboxOf(path: string): Pick<Sight, 'acknowledged' | 'doubled'> {
  const sql = 'SELECT body FROM events WHERE record IS NOT NULL AND acked = 1 ORDER BY n';
  const records = rowsOf(path, 'events', z.object({ body: z.string() }), sql).map(({ body }) => {
    const { name, sha256 } = recordBody.parse(JSON.parse(body)).record;
    return { n: Number(name.replace('reading-', '')), sha256 };
  });
  const acknowledged = new Map<number, string>();
  const doubled: number[] = [];
  for (const { n, sha256 } of records) {
    if (acknowledged.has(n)) doubled.push(n);
    acknowledged.set(n, sha256);
  }
  return { acknowledged, doubled };
}

export function readingsNow({ layout }: ApplianceBox): Readings {
  return readingsOf(layout.stateDb);
}

export function sightOf(box: ApplianceBox): Sight {
  // In this order: a reading is in a state before there is a record of it.
  const outbox = outboxOf(box.layout.outboxDb);
  const state = readingsNow(box);
  const factory = readingsOf(join(box.layout.agentFactory, 'state.db'));
  const asides = asidesOf(box).flatMap((aside) => {
    const readings = readingsAside(box, aside);
    return readings === null ? [] : [{ aside, readings }];
  });
  return { ...outbox, state, factory, asides };
}
