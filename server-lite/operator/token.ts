import { randomBytes, timingSafeEqual } from 'node:crypto';
import { sha256 } from '../../protocol/digest.ts';
import type { Settings } from '../store/settings.ts';

const settingName = 'operator-token-sha256';
const shownName = 'operator-token-shown';
/** 192 random bits: nothing to guess, so a plain digest of it is enough at rest. */
const tokenBytes = 24;

/**
 * The operator's token is stored only as a digest, so a token that nobody saw is lost: each start makes another one
 * until {@link tokenWasShown}. A database without the mark is from a version that showed the token.
 * @returns the token, when it was made just now
 */
export function ensureToken(settings: Settings): string | null {
  if (settings.read(settingName) !== null && settings.read(shownName) !== 'no') return null;
  const token = newToken();
  // First: after an interruption between the two, another token is made.
  settings.write(shownName, 'no');
  settings.write(settingName, sha256(token));
  return token;
}

export function newToken(): string {
  return `hfo_${randomBytes(tokenBytes).toString('base64url')}`;
}

/** Replaces the previous one. */
export function storeToken(settings: Settings, token: string): void {
  settings.write(settingName, sha256(token));
  settings.write(shownName, 'yes');
}

/** Changes with the token, and reveals nothing about it: what one token opened ends with it. */
export function tokenMark(settings: Settings): string {
  return settings.read(settingName) ?? '';
}

export function tokenWasShown(settings: Settings): void {
  settings.write(shownName, 'yes');
}

export function isToken(settings: Settings, offered: string): boolean {
  const stored = Buffer.from(tokenMark(settings));
  const digest = Buffer.from(sha256(offered));
  return stored.length === digest.length && timingSafeEqual(stored, digest);
}
