import type { Component } from '../../protocol/component.ts';
import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import { applianceTexts } from '../texts.ts';
import { requireInService } from './appliance-life.ts';
import { requirePublished } from './start-rollout.ts';

export interface AssignedRelease {
  readonly component: Component;
  readonly version: string;
}

/**
 * From now on this appliance gets this release, and no rollout of the component, until it is unassigned. This only
 * chooses among signed releases; the appliance itself refuses one below its floor.
 * @throws Refusal
 */
export function assignRelease(core: Core, row: ApplianceRow, asked: AssignedRelease): void {
  requireInService(row);
  const release = requirePublished(core, asked);
  core.assignments.assign(row.id, asked.component, release.serial, core.nowMs());
  addServerEvent(core, row.id, 'assigned', applianceTexts.assigned(asked.component, asked.version, row.name));
}

/** @throws Refusal `assignment-unknown` */
export function unassignRelease(core: Core, row: ApplianceRow, component: Component): void {
  if (!core.assignments.unassign(row.id, component)) {
    const next = applianceTexts.notAssignedNext;
    throw new Refusal('assignment-unknown', applianceTexts.notAssigned(component, row.name), next);
  }
  addServerEvent(core, row.id, 'unassigned', applianceTexts.unassigned(row.name, component));
}
