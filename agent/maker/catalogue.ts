import { z } from 'zod';
import { type MadeKind, madeIn } from '../threads/made.ts';
import {
  checkShape,
  dutyShape,
  orderShape,
  requireDuty,
  requireSetting,
  requireShape,
  secretShape,
  settingShape,
} from './work-shapes.ts';

/** What one maker may define. Health answers have room for a bounded number of checks. */
const most: Readonly<Record<MadeKind, number>> = { duty: 1_000, check: 8, order: 100, setting: 200, secret: 50 };

/**
 * `maker.json`, beside the program: what the maker's module defines, written by the build, so that none of its code runs
 * on the agent's main thread.
 */
export const catalogueShape = z.object({
  duties: z.array(dutyShape).max(most.duty),
  checks: z.array(checkShape).max(most.check),
  orders: z.array(orderShape).max(most.order),
  settings: z.array(settingShape).max(most.setting),
  secrets: z.array(secretShape).max(most.secret),
});
export type Catalogue = z.infer<typeof catalogueShape>;

/** @throws RangeError when a definition cannot work, two have one name, or there are too many */
export function catalogueOf(exports: Readonly<Record<string, unknown>>): Catalogue {
  const made = madeIn(exports);
  const named = (kind: MadeKind) => made.filter((one) => one.kind === kind);
  const catalogue = {
    duties: named('duty').map(requireDuty),
    checks: named('check').map((check) => requireShape('check', checkShape, check)),
    orders: named('order').map((order) => requireShape('order', orderShape, order)),
    settings: named('setting').map(requireSetting),
    secrets: named('secret').map((secret) => requireShape('secret', secretShape, secret)),
  };
  for (const [kind, count] of Object.entries(most) as [MadeKind, number][]) {
    const found = named(kind).length;
    if (found > count) throw new RangeError(`${found} definitions of the kind ${kind}; at most ${count} are taken`);
  }
  const { duties, checks, orders, settings, secrets } = catalogue;
  requireNames([...duties, ...checks, ...orders]);
  requireNames([...settings, ...secrets]);
  for (const { name, sees } of [...duties, ...checks, ...orders]) {
    if (sees === undefined || duties.some((duty) => duty.name === sees && duty.sees === undefined)) continue;
    throw new RangeError(`${name} sees the duty ${sees}, and there is none that has a store of its own`);
  }
  return catalogue;
}

function requireNames(described: readonly { readonly name: string }[]): void {
  const names = new Set<string>();
  for (const { name } of described) {
    if (names.has(name)) throw new RangeError(`two are named ${name}`);
    names.add(name);
  }
}
