import { z } from 'zod';
import type { Role } from './appliances.ts';
import type { Db } from './database.ts';
import { readStored } from './stored-json.ts';

const sideShape = z.object({
  boot: z.string(),
  address: z.string(),
  /** The machine's own host name; null: its updater does not report it. */
  host: z.string().nullable(),
  lastMs: z.number(),
});
/** One of the machines that use an identity, as its check-ins show it. */
export type Side = z.infer<typeof sideShape>;

export interface CloneAlarm {
  readonly appliance: string;
  readonly since: number;
  readonly sides: readonly Side[];
  /** Whose keys are in use twice; empty: an older alarm, from before this was noted. */
  readonly roles: readonly Role[];
  /** The appliance that the copy says it became; null: none yet. */
  readonly copy: string | null;
}

interface Row {
  readonly appliance: string;
  readonly since: number;
  readonly sides: string;
  readonly roles: string;
  readonly copy: string | null;
}

export interface Clones {
  list(): CloneAlarm[];
  raise(alarm: Omit<CloneAlarm, 'copy'>): void;
  /** Notes that another of its keys is in use twice. */
  noteRoles(appliance: string, roles: readonly Role[]): void;
  noteCopy(appliance: string, copy: string): void;
  remove(appliance: string): void;
}

/** Alarms that two machines use one identity; each stays until a person says that it is solved. */
export function clonesOf(db: Db): Clones {
  const list = db.prepare<[], Row>('SELECT * FROM clones');
  const raise = db.prepare(
    'INSERT OR IGNORE INTO clones (appliance, since, sides, roles) VALUES (@appliance, @since, @sides, @roles)',
  );
  const noteRoles = db.prepare<[string, string]>('UPDATE clones SET roles = ? WHERE appliance = ?');
  const noteCopy = db.prepare<[string, string]>('UPDATE clones SET copy = ? WHERE appliance = ?');
  const remove = db.prepare<[string]>('DELETE FROM clones WHERE appliance = ?');
  return {
    list: () =>
      list.all().map((row) => {
        const sides = readStored(z.array(sideShape), row.sides);
        const roles = (['agent', 'updater'] as const).filter((role) => row.roles.split(' ').includes(role));
        return { ...row, roles, sides: sides.outcome === 'read' ? sides.value : [] };
      }),
    raise: ({ sides, roles, ...alarm }) => {
      raise.run({ ...alarm, sides: JSON.stringify(sides), roles: roles.join(' ') });
    },
    noteRoles: (appliance, roles) => {
      noteRoles.run(roles.join(' '), appliance);
    },
    noteCopy: (appliance, copy) => {
      noteCopy.run(copy, appliance);
    },
    remove: (appliance) => {
      remove.run(appliance);
    },
  };
}
