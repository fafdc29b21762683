import { join } from 'node:path';
import { z } from 'zod';
import { type Evidence, evidenceShape } from '../../protocol/evidence.ts';
import type { Layout } from '../../protocol/layout.ts';
import { readJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';

export const evidenceName = 'verdict.json';
const fileBytesMax = 1024 * 1024;
const fileShape = z.object({ evidence: evidenceShape });

/** null: nothing is kept about this transaction, or not in this form. */
export function keptEvidence(files: Files, layout: Layout, tx: number): Evidence | null {
  try {
    const parsed = fileShape.safeParse(readJson(files, join(layout.evidence, String(tx), evidenceName), fileBytesMax));
    return parsed.success ? parsed.data.evidence : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}
