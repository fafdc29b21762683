import { authorityFeature, authorityUnknownCode } from '../../protocol/authority.ts';
import type { Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import { checkInTexts } from '../texts.ts';

/** What a verified request says about the authority that it is for. */
export interface AskedAuthority {
  /**
   * The authority that its signature covers, else the one that its body names; undefined: none, as in released
   * programs.
   */
  readonly authority: string | undefined;
  /** Its signature covers it. */
  readonly isSigned: boolean;
  readonly features: readonly string[];
}

/**
 * Refuses a request for a name that is not this server's, if the signature covers that name or the client was told
 * before that the name is its server's: a request that an attacker diverted from its server is worthless here. Other
 * clients are served.
 * @param appliance that signed it; null: not enrolled yet, or nothing is to be noted
 * @returns the words of the answer
 * @throws Refusal `authority-unknown`
 */
export function requireOwnAuthority(core: Core, asked: AskedAuthority, appliance: string | null): readonly string[] {
  const { authority, isSigned, features } = asked;
  if (authority === undefined) return [];
  if (core.policy.ownAuthorities().has(authority)) {
    if (appliance !== null) core.foreignAuthorities.forget(appliance);
    return [authorityFeature];
  }
  const isNews = appliance !== null && core.foreignAuthorities.note(appliance, authority, core.nowMs());
  if (isNews && core.hourly.isDue(`authority ${appliance}`, core.nowMs()))
    core.log.warn({ appliance, authority }, checkInTexts.foreignAuthority);
  if (!isSigned && !features.includes(authorityFeature)) return [];
  throw new Refusal(
    authorityUnknownCode,
    checkInTexts.authorityUnknown(authority),
    checkInTexts.authorityUnknownNext(authority),
  );
}
