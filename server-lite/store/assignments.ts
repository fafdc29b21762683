import type { Component } from '../../protocol/component.ts';
import type { Db } from './database.ts';

/** A published release that an operator chose for one appliance. */
export interface Assigned {
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly withdrawn: boolean;
}

interface AssignedRow {
  readonly component: Component;
  readonly version: string;
  readonly manifest: string;
  readonly withdrawn_at: number | null;
}

export interface Assignments {
  /** At most one for each component. */
  of(appliance: string): Assigned[];
  /** Of every appliance that has an assignment. */
  all(): ReadonlyMap<string, readonly Assigned[]>;
  /** Replaces the previous assignment of the component. */
  assign(appliance: string, component: Component, release: number, nowMs: number): void;
  /** @returns false when nothing was assigned */
  unassign(appliance: string, component: Component): boolean;
}

function assignedOf({ component, version, manifest, withdrawn_at }: AssignedRow): Assigned {
  return { component, version, manifest, withdrawn: withdrawn_at !== null };
}

export function assignmentsOf(db: Db): Assignments {
  const columns = `SELECT a.appliance, r.component, r.version, r.manifest, r.withdrawn_at FROM assignments a
     JOIN releases r ON r.serial = a.release`;
  const of = db.prepare<[string], AssignedRow>(`${columns} WHERE a.appliance = ?`);
  const all = db.prepare<[], AssignedRow & { appliance: string }>(columns);
  const assign = db.prepare<[string, string, number, number]>(
    `INSERT INTO assignments (appliance, component, release, assigned_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (appliance, component) DO UPDATE SET release = excluded.release, assigned_at = excluded.assigned_at`,
  );
  const unassign = db.prepare<[string, string]>('DELETE FROM assignments WHERE appliance = ? AND component = ?');
  return {
    of: (appliance) => of.all(appliance).map(assignedOf),
    all: () => {
      const rows = Map.groupBy(all.all(), ({ appliance }) => appliance);
      return new Map([...rows].map(([appliance, list]) => [appliance, list.map(assignedOf)]));
    },
    assign: (appliance, component, release, nowMs) => {
      assign.run(appliance, component, release, nowMs);
    },
    unassign: (appliance, component) => unassign.run(appliance, component).changes > 0,
  };
}
