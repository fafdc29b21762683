import type { Component } from '../../protocol/component.ts';
import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import { requirePublished } from './start-rollout.ts';

export interface AssignedRelease {
  readonly component: Component;
  readonly version: string;
}

/**
 * From now on this appliance gets this release, and no rollout of the component, until it is unassigned. It is only a
 * choice among the releases that were signed; the appliance itself refuses what is below its floor.
 * @throws Refusal
 */
export function assignRelease(core: Core, row: ApplianceRow, asked: AssignedRelease): void {
  if (row.retired_at !== null) throw new Refusal('appliance-retired', `${row.name} is retired`);
  const release = requirePublished(core, asked);
  core.assignments.assign(row.id, asked.component, release.serial, core.nowMs());
  addServerEvent(core, row.id, 'assigned', `${asked.component} ${asked.version} was assigned to ${row.name}`);
}

/** @throws Refusal `assignment-unknown` */
export function unassignRelease(core: Core, row: ApplianceRow, component: Component): void {
  if (!core.assignments.unassign(row.id, component)) {
    const next = 'holdfast fleet shows what is assigned';
    throw new Refusal('assignment-unknown', `no ${component} release is assigned to ${row.name}`, next);
  }
  addServerEvent(core, row.id, 'unassigned', `${row.name} follows the rollouts of ${component} again`);
}
