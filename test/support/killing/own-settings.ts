import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { ApplianceBox } from '../world/appliance-box.ts';

const shape = z.looseObject({ trial: z.looseObject({}) });

/** The appliance's own settings, as its owner changes them: each run reads them anew, and finds a whole file. */
export function changeSettings(
  box: ApplianceBox,
  change: (settings: z.infer<typeof shape>) => Readonly<Record<string, unknown>>,
): void {
  const { settings } = box.layout;
  const before = shape.parse(JSON.parse(readFileSync(settings, 'utf8')));
  writeFileSync(`${settings}.tmp`, JSON.stringify({ ...before, ...change(before) }), { mode: 0o600 });
  renameSync(`${settings}.tmp`, settings);
}
