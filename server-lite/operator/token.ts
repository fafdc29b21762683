import { randomBytes, timingSafeEqual } from 'node:crypto';
import { sha256 } from '../../protocol/digest.ts';
import type { Settings } from '../store/settings.ts';

const settingName = 'operator-token-sha256';
/** 192 random bits: nothing to guess, so a plain digest of it is enough at rest. */
const tokenBytes = 24;

/** @returns the operator's token when it was made just now; it is stored as a digest only and never shown again */
export function ensureToken(settings: Settings): string | null {
  if (settings.read(settingName) !== null) return null;
  const token = `hfo_${randomBytes(tokenBytes).toString('base64url')}`;
  settings.write(settingName, sha256(token));
  return token;
}

export function isToken(settings: Settings, offered: string): boolean {
  const stored = Buffer.from(settings.read(settingName) ?? '');
  const digest = Buffer.from(sha256(offered));
  return stored.length === digest.length && timingSafeEqual(stored, digest);
}
