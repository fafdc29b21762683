import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import type { Appliance } from '../appliance.ts';
import { readJson, replaceJson } from '../effects/durable.ts';
import { takeSources } from '../release/sources.ts';

/** A file beside bundles on a stick, with what `holdfast-updater sources FILE` takes, whole. */
export const sourcesName = 'holdfast-sources.json';
export const sourcesBytesMax = 64 * 1024;

const noteBytesMax = 1_000;

/** The same file is taken once in a boot, so that a stick that stays does not undo what somebody sets later. */
export function takeStickSources(appliance: Appliance, path: string, bytes: Buffer): void {
  const { files, layout } = appliance;
  const digest = sha256(bytes);
  const taken = join(layout.run, 'stick-sources.json');
  if (z.object({ digest: z.literal(digest) }).safeParse(readJson(files, taken, noteBytesMax)).success) return;
  const { text } = takeSources(appliance, parsedOrNull(bytes), 'stick');
  appliance.log(`${path}: ${text}`);
  replaceJson(files, taken, { digest }, 0o600);
}

function parsedOrNull(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
