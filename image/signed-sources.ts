import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../protocol/known-fields.ts';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { namedSourcesShape, noSources, type Sources, sourcesShape } from '../protocol/sources.ts';
import { holdfastFields } from '../protocol/trust/tuf-targets.ts';
import { parseWritten } from '../protocol/written-json.ts';
import { ImageError } from './errors.ts';
import type { SignedRepository } from './repository-metadata.ts';
import { repositoryTexts } from './texts.ts';

/** Nobody chooses the number: appliances take sources with a higher number than theirs. */
const givenShape = namedSourcesShape.omit({ seq: true });

/** The sources that the signed targets name; null: none, and appliances keep what they have. */
export function signedSources({ trusted }: Pick<SignedRepository, 'trusted'>): Sources | null {
  return holdfastFields(trusted).sources ?? null;
}

/**
 * The sources that the targets will name next: those of a JSON file, and unchanged what it leaves out; without a file,
 * the server alone. The number is one higher than the last signed one.
 * @throws ImageError `sources-invalid`
 */
export async function nextSources(known: Sources | null, file: string | null): Promise<Sources> {
  const seq = (known?.seq ?? 0) + 1;
  if (file === null) return { ...noSources, seq };
  const next = repositoryTexts.sourcesNext;
  try {
    const found: unknown = parseWritten(await readFile(file, 'utf8'));
    const unknown = unknownFieldsText(unknownFields(givenShape, found));
    if (unknown !== '') throw new ImageError('sources-invalid', repositoryTexts.noSources(file, unknown), next);
    const given = givenShape.parse(found);
    return sourcesShape.parse({ ...(known ?? noSources), ...given, seq });
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    if (cause instanceof z.ZodError) {
      throw new ImageError('sources-invalid', repositoryTexts.noSources(file, shapeProblem(cause)), next, {
        cause,
      });
    }
    if (cause instanceof SyntaxError)
      throw new ImageError('sources-invalid', repositoryTexts.sourcesNoJson(file), next, { cause });
    if (cause instanceof Error && 'code' in cause) {
      throw new ImageError('sources-invalid', repositoryTexts.sourcesUnreadable(file, String(cause.code)), next, {
        cause,
      });
    }
    throw cause;
  }
}
