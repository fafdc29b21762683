import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { namedSourcesShape, noSources, type Sources, sourcesShape } from '../protocol/sources.ts';
import { holdfastFields } from '../protocol/trust/tuf-targets.ts';
import { ImageError } from './errors.ts';
import type { SignedRepository } from './repository-metadata.ts';

/** The number is not a person's to choose: appliances take what is higher than what they have. */
const givenShape = namedSourcesShape.omit({ seq: true }).strict();

/** The sources that the signed targets name; null: none, and appliances keep what they have. */
export function signedSources({ trusted }: Pick<SignedRepository, 'trusted'>): Sources | null {
  return holdfastFields(trusted).sources ?? null;
}

/**
 * What the targets are to name next: the sources of a JSON file, and what it leaves out as it is; without a file, the
 * server alone. Its number is one higher than the last one that was signed.
 * @throws ImageError `sources-invalid`
 */
export async function nextSources(known: Sources | null, file: string | null): Promise<Sources> {
  const seq = (known?.seq ?? 0) + 1;
  if (file === null) return { ...noSources, seq };
  const next = 'give a JSON file as README shows it: releases, proxy, ca, rateBytesPerS';
  try {
    const given = givenShape.parse(JSON.parse(await readFile(file, 'utf8')));
    return sourcesShape.parse({ ...(known ?? noSources), ...given, seq });
  } catch (cause) {
    if (cause instanceof z.ZodError) {
      throw new ImageError('sources-invalid', `${file} does not hold sources: ${z.prettifyError(cause)}`, next, {
        cause,
      });
    }
    if (cause instanceof SyntaxError) throw new ImageError('sources-invalid', `${file} is not JSON`, next, { cause });
    if (cause instanceof Error && 'code' in cause) {
      throw new ImageError('sources-invalid', `${file} can not be read (${String(cause.code)})`, next, { cause });
    }
    throw cause;
  }
}
