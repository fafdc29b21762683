import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import { sourcesShape } from '../../protocol/sources.ts';
import { parseWritten } from '../../protocol/written-json.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { takeSources } from '../trust/sources.ts';
import { requestTexts } from '../words/texts.ts';

/** A file beside bundles on a stick, with the complete content that `holdfast-updater sources FILE` takes. */
export const sourcesName = 'holdfast-sources.json';
export const sourcesBytesMax = 64 * 1024;

const noteBytesMax = 1_000;

const takenShape = z.object({ digest: z.string() });

/** The same file is taken once per boot, so that a stick that stays does not undo what a person sets later. */
export function takeStickSources(appliance: Appliance, path: string, bytes: Buffer): void {
  const { files, layout } = appliance;
  const digest = sha256(bytes);
  const taken = join(layout.run, 'stick-sources.json');
  if (readKept(files, taken, noteBytesMax, takenShape)?.digest === digest) return;
  const given = parsedOrNull(bytes);
  const unknown = unknownFieldsText(unknownFields(sourcesShape, given));
  const text = unknown === '' ? takeSources(appliance, given, 'stick').text : requestTexts.misspelt(unknown);
  appliance.log(`${path}: ${text}`);
  replaceJson(files, taken, { digest }, 0o600);
}

function parsedOrNull(bytes: Buffer): unknown {
  try {
    return parseWritten(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
