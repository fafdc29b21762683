import { z } from 'zod';
import { authorityOf } from './address.ts';

/**
 * The authority that a request is signed for (RFC 9421 section 2.2.3), and when a client starts to sign it. In each
 * check-in, a client names the authority that it asks; a server that goes by it puts {@link authorityFeature} in its
 * signed answer, and can withdraw it in a later one. Only such a signed word is kept. An unsigned answer can at most
 * change the profile of the next requests, and none of those is valid at another server: see {@link asksUnder}.
 */

/**
 * In an answer and in a claim: the server goes by the named authority and reads signatures that cover it. In a request:
 * the client was told so, and wants to be refused if it is not true, however the request is signed.
 */
export const authorityFeature = 'authority';

/** The code of a signed refusal: the server does not go by the authority that a request is for. */
export const authorityUnknownCode = 'authority-unknown';

/** In one form: lower case, no final dot, IPv6 in brackets and short, without the scheme's default port. */
export const authorityShape = z
  .string()
  .max(260)
  .regex(/^(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?)(:[1-9]\d{0,4})?$/);

/** @returns the authority of an address in one form; null: it has odd characters and is never signed */
export function authorityOfAddress(address: string): string | null {
  const { host, protocol } = new URL(address);
  return authorityShape.safeParse(authorityOf(host, protocol)).data ?? null;
}

/** The features that a message names, known and unknown. */
export const featuresShape = z.array(z.string().max(40)).max(32);

/**
 * Consecutive rounds that were signed with the authority and got no verifiable answer; rounds since the last of them.
 */
export interface Unheard {
  readonly times: number;
  readonly roundsSince: number;
}

export const unheardShape = z.object({ times: z.int().min(0), roundsSince: z.int().min(0) });
export const nothingUnheard: Unheard = { times: 0, roundsSince: 0 };

/** While the server does not withdraw its word, at most this many rounds in a row are signed in the first profile. */
const firstProfileRoundsMax = 7;

/** How one round asks. */
export interface Asking {
  /** The authority that is asked; null: it is one that is never signed. */
  readonly authority: string | null;
  /** The server said that it goes by this authority. */
  readonly isKnown: boolean;
  /** The signature covers the authority. */
  readonly signs: boolean;
}

/**
 * A server that was put back to a version with the first profile only never gives a signed answer to the second. So an
 * unanswered round that was signed with the authority is followed by one that is not, then by three, then by at most
 * seven, until there is an answer.
 * @param known the stored authority that the server said it goes by
 */
export function asksUnder(authority: string | null, known: string | null, { times, roundsSince }: Unheard): Asking {
  const isKnown = authority !== null && authority === known;
  const pause = Math.min(2 ** Math.min(times, 10) - 1, firstProfileRoundsMax);
  return { authority, isKnown, signs: isKnown && roundsSince >= pause };
}

/** @param isVerified an answer came that the server signed for a request of this round */
export function unheardAfter({ isKnown, signs }: Asking, before: Unheard, isVerified: boolean): Unheard {
  if (!isKnown || (signs && isVerified)) return nothingUnheard;
  if (signs) return { times: before.times + 1, roundsSince: 0 };
  return { ...before, roundsSince: before.roundsSince + 1 };
}

/**
 * What is known after a complete signed answer to a round: a server that does not name the feature does not go by the
 * authority.
 */
export function knownAfter({ authority }: Asking, features: readonly string[] | undefined): string | null {
  return features?.includes(authorityFeature) ? authority : null;
}

/** What a request says about it. */
export function saidOf({ authority, isKnown }: Asking): { readonly authority?: string; readonly features: string[] } {
  const features = isKnown ? [authorityFeature] : [];
  return authority === null ? { features } : { authority, features };
}

/** What the signature covers besides the first profile; undefined: nothing. These paths have no query. */
export function targetOf({
  authority,
  signs,
}: Asking): { readonly authority: string; readonly query: '?' } | undefined {
  return signs && authority !== null ? { authority, query: '?' } : undefined;
}
