import { nameKey } from '../../protocol/names.ts';
import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import { isTerminal } from '../rules/order-life.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import { applianceTexts } from '../texts.ts';

/** What an operator does with a whole appliance: rename it, retire it. */

/** One appliance has far fewer open orders. */
const ordersLookedAt = 500;

/** A new name cannot have brackets, so the name of a retired appliance is in nobody's way. */
const retiredName = (name: string, n: number) => `${name} (retired${n === 1 ? '' : ` ${n}`})`;

/** The name before the appliance was retired. */
export const formerName = (name: string) => name.replace(/ \(retired( \d+)?\)$/, '');

/**
 * The appliance of that name, in any spelling; a retired one by its former name, unless another appliance has it now.
 */
export function applianceNamed({ appliances }: Pick<Core, 'appliances'>, typed: string): ApplianceRow | undefined {
  const key = nameKey(typed);
  const named = appliances.findByName(typed.normalize('NFC').trim());
  if (named !== undefined) return named;
  const all = appliances.list();
  return (
    all.find(({ name }) => nameKey(name) === key) ??
    all.findLast((row) => row.retired_at !== null && nameKey(formerName(row.name)) === key)
  );
}

/** @throws Refusal `name-taken` if another appliance in service has it */
export function requireFreeName(core: Pick<Core, 'appliances'>, name: string, own: string | null): void {
  const taken = applianceNamed(core, name);
  if (taken === undefined || taken.retired_at !== null || taken.id === own) return;
  throw new Refusal('name-taken', applianceTexts.nameTaken(taken.name), applianceTexts.nameTakenNext(taken.name));
}

/**
 * Frees the appliance's name, ends its orders, and drops what was chosen for it. What is known about it stays. Its
 * programs continue to run, and ask once a day whether it is still retired. Repeating this changes nothing.
 */
export function retireAppliance(core: Core, row: ApplianceRow): void {
  if (row.retired_at !== null) return;
  const nowMs = core.nowMs();
  core.db.transaction(() => {
    for (const order of core.orders.list(row.id, ordersLookedAt)) {
      if (isTerminal(order.state)) continue;
      core.orders.move(order.id, {
        state: 'failed',
        error: applianceTexts.wasRetired,
        result: null,
        ended_at: nowMs,
      });
    }
    for (const { component } of core.assignments.of(row.id)) core.assignments.unassign(row.id, component);
    core.clones.solve(row.id);
    // Only a later claim brings it back.
    core.claims.dropUnusedOf(row.id);
    core.appliances.retire(row.id, nowMs);
    core.appliances.rename(row.id, freeRetiredName(core, row.name), row.site);
    addServerEvent(core, row.id, 'retired', applianceTexts.retired(row.name));
  })();
}

function freeRetiredName({ appliances }: Core, name: string): string {
  for (let n = 1; ; n += 1) {
    const candidate = retiredName(name, n);
    if (appliances.findByName(candidate) === undefined) return candidate;
  }
}

/**
 * A person says that only one machine uses this identity. If that is wrong, the alarm is raised again.
 * @throws Refusal
 */
export function solveClone(core: Core, row: ApplianceRow): void {
  if (!core.clones.solve(row.id)) {
    throw new Refusal('clone-unknown', applianceTexts.noCopyKnown(row.name), applianceTexts.noCopyKnownNext);
  }
  for (const { key_id } of core.appliances.keysOf(row.id)) {
    core.presence.forgetCounters(key_id);
    core.chains.forget(key_id);
  }
  addServerEvent(core, row.id, 'clone-solved', applianceTexts.onlyOneMachine(row.name));
}

/** @throws Refusal `appliance-retired` */
export function requireInService({ name, retired_at }: ApplianceRow): void {
  if (retired_at === null) return;
  throw new Refusal('appliance-retired', applianceTexts.isRetired(name), applianceTexts.isRetiredNext);
}

/** @throws Refusal `name-taken`, `appliance-retired` */
export function renameAppliance(core: Core, row: ApplianceRow, name: string, site: string): void {
  requireInService(row);
  requireFreeName(core, name, row.id);
  if (name === row.name && site === row.site) return;
  core.db.transaction(() => {
    core.appliances.rename(row.id, name, site);
    addServerEvent(core, row.id, 'renamed', applianceTexts.renamed(row.name, row.site, name, site));
  })();
}
