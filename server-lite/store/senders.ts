import type { Gap, Numbering } from '../rules/numbering.ts';
import type { Role } from './appliances.ts';
import type { Db } from './database.ts';

interface NumberingRow {
  readonly upto: number;
  readonly last_n: number | null;
  readonly former_n: number | null;
}

interface GapRow {
  readonly from_n: number;
  readonly to_n: number;
  readonly of_from: number;
  readonly of_to: number;
  readonly asked: number;
  readonly told: number;
}

/** How far each program of each appliance has come with the numbers of its events. */
export interface Senders {
  numbering(appliance: string, role: Role): Numbering;
  /** How far each sender is told that it has come, by appliance and role. */
  told(): (appliance: string, role: Role) => number;
  gaps(appliance: string, role: Role): Gap[];
  writeNumbering(appliance: string, role: Role, numbering: Numbering): void;
  /** Replaces the gaps of one sender. */
  writeGaps(appliance: string, role: Role, gaps: readonly Gap[]): void;
}

export function sendersOf(db: Db): Senders {
  const read = db.prepare<[string, string], NumberingRow>(
    'SELECT upto, last_n, former_n FROM acknowledged WHERE appliance = ? AND role = ?',
  );
  const told = db.prepare<[], { appliance: string; role: string; upto: number }>(
    'SELECT appliance, role, upto FROM acknowledged',
  );
  const write = db.prepare<[string, string, number, number, number | null]>(
    `INSERT INTO acknowledged (appliance, role, upto, last_n, former_n) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (appliance, role) DO UPDATE SET upto = excluded.upto, last_n = excluded.last_n, former_n = excluded.former_n`,
  );
  const gaps = db.prepare<[string, string], GapRow>(
    'SELECT * FROM event_gaps WHERE appliance = ? AND role = ? ORDER BY from_n',
  );
  const dropGaps = db.prepare<[string, string]>('DELETE FROM event_gaps WHERE appliance = ? AND role = ?');
  const addGap = db.prepare<[string, string, number, number, number, number, number, number]>(
    `INSERT OR REPLACE INTO event_gaps (appliance, role, from_n, to_n, of_from, of_to, asked, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return {
    numbering: (appliance, role) => {
      const row = read.get(appliance, role);
      const upto = row?.upto ?? 0;
      return { told: upto, last: row?.last_n ?? upto, former: row?.former_n ?? null };
    },
    told: () => {
      const upto = new Map(told.all().map((row) => [`${row.appliance} ${row.role}`, row.upto]));
      return (appliance, role) => upto.get(`${appliance} ${role}`) ?? 0;
    },
    gaps: (appliance, role) =>
      gaps.all(appliance, role).map((row) => ({
        from: row.from_n,
        to: row.to_n,
        of: { from: row.of_from, to: row.of_to },
        asked: row.asked,
        told: row.told !== 0,
      })),
    writeNumbering: (appliance, role, { told, last, former }) => {
      write.run(appliance, role, told, last, former);
    },
    writeGaps: (appliance, role, list) => {
      dropGaps.run(appliance, role);
      for (const { from, to, of, asked, told } of list) {
        addGap.run(appliance, role, from, to, of.from, of.to, asked, told ? 1 : 0);
      }
    },
  };
}
