import { z } from 'zod';
import { type StateBody, stateBodyShape, stateSchema } from '../../protocol/state-record.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { readPrefix } from '../launch/table.ts';
import { knownRecord, rewriteRecord } from '../record/record-store.ts';
import { applianceTexts } from '../words/texts.ts';
import type { Appliance } from './appliance.ts';
import { triesOf } from './tries.ts';

/**
 * The state as it was when an updater was armed. An updater on trial writes the record itself: its changes (a row or a
 * schema that the previous updater does not know) count only once it is committed, as with an agent's data.
 */

const armedShape = z.object({ schema: z.int(), body: stateBodyShape });
const bytesMax = 64 * 1024;

/** Called before the record says `armed`. */
export function keepArmedState({ files, layout }: Pick<Appliance, 'files' | 'layout'>, armed: StateBody): void {
  const schema = knownRecord(files, layout.stateRecords)?.schema ?? stateSchema;
  replaceJson(files, layout.armedState, { schema, body: armed }, 0o600);
}

/** Called once there is a verdict. */
export function forgetArmedState({ files, layout }: Pick<Appliance, 'files' | 'layout'>): void {
  if (files.stat(layout.armedState) === null) return;
  files.unlink(layout.armedState);
  files.syncDirectory(layout.updater);
}

function readArmed(files: Files, path: string): z.infer<typeof armedShape> | null {
  try {
    const parsed = armedShape.safeParse(readJson(files, path, bytesMax));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

/**
 * Puts the record back as it was armed, if the trial of that updater is over or left a record that the previous
 * updater, this one, does not understand.
 * @returns the state that is in the record now; null: there is nothing to put back
 */
export function backToArmed(appliance: Appliance): StateBody | null {
  const { files, layout, manifest, log } = appliance;
  const armed = readArmed(files, layout.armedState);
  const trial = armed?.body.trial ?? null;
  if (armed === null || trial === null || manifest === armed.body.transaction?.manifest) return null;
  const body = knownRecord(files, layout.stateRecords)?.body;
  const prefix = readPrefix(body);
  // Any other trial, or none: this one has been judged.
  if (prefix?.trial?.component !== trial.component || prefix.trial.tx !== trial.tx || prefix.row === 'committing')
    return null;
  const { tries, outOfBoots } = triesOf(appliance, 'updater', trial.tx);
  // A record that this updater does not understand was left by a try that launch would not even count on.
  const isLegible = stateBodyShape.safeParse(body).success;
  if (isLegible && tries < trial.tries && !outOfBoots) return null;
  rewriteRecord(files, layout.stateRecords, layout.updater, armed.schema, armed.body);
  log(applianceTexts.recordAsArmed);
  return armed.body;
}
