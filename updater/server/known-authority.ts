import { z } from 'zod';
import { authorityShape } from '../../protocol/authority.ts';
import type { Layout } from '../../protocol/layout.ts';
import { replaceJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { isDamage, readKept } from '../effects/kept-file.ts';
import { serverTexts } from '../words/texts.ts';

/**
 * updater/known-authority.json: the authority that the server goes by, as it said in a signed answer; from then on,
 * requests are signed for it. If it is unknown or cannot be stored, requests are signed in the first profile, and the
 * server says it again.
 */
const knownShape = z.object({ v: z.literal(1), authority: authorityShape.nullable() });
const bytesMax = 4 * 1024;

interface Place {
  readonly files: Files;
  readonly layout: Layout;
  log(line: string): void;
}

export function knownAuthority({ files, layout }: Omit<Place, 'log'>): string | null {
  return readKept(files, layout.knownAuthority, bytesMax, knownShape)?.authority ?? null;
}

/** Only after a signed answer of the server. */
export function keepKnownAuthority(place: Place, authority: string | null): void {
  if (knownAuthority(place) === authority) return;
  try {
    replaceJson(place.files, place.layout.knownAuthority, { v: 1, authority }, 0o600);
  } catch (error) {
    if (!(error instanceof Error) || !isDamage(error)) throw error;
    place.log(serverTexts.authorityNotWritten(error.message));
  }
}
