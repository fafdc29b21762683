import { typedApplianceIdShape } from '../../protocol/ids.ts';
import type { Core } from '../core.ts';
import { applianceNamed } from '../fleet/appliance-life.ts';
import { Refusal } from '../refusal.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import { applianceTexts } from '../texts.ts';

/**
 * The appliance that a person means: by name, or by id in any form that people type (S8).
 * @throws Refusal `appliance-unknown`
 */
export function findAppliance(core: Core, typed: string): ApplianceRow {
  const named = applianceNamed(core, typed);
  if (named !== undefined) return named;
  const id = typedApplianceIdShape.safeParse(typed);
  const row = id.success ? core.appliances.find(id.data) : undefined;
  if (row !== undefined) return row;
  throw new Refusal('appliance-unknown', applianceTexts.unknown(JSON.stringify(typed)), applianceTexts.unknownNext);
}
