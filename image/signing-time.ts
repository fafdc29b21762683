import type { Trusted } from '../protocol/trust/tuf.ts';
import { ImageError } from './errors.ts';
import { lifetimeYears } from './repository-metadata.ts';
import { repositoryTexts } from './texts.ts';

const hourMs = 3_600_000;
/** Offline keys may rest for years; a clock further ahead than this is rather wrong. */
const aheadYearsMax = 3;

const dateText = (date: Date): string => date.toISOString().slice(0, 16).replace('T', ' ');

function yearsFrom(date: string | Date, years: number): Date {
  const other = new Date(date);
  other.setUTCFullYear(other.getUTCFullYear() + years);
  return other;
}

/** When what the repository holds was signed last: the lifetime of each role is known. */
function lastSigned({ root, targets }: Trusted): Date {
  const signed = [yearsFrom(root.metadata.signed.expires, -lifetimeYears.root)];
  if (targets !== null) signed.push(yearsFrom(targets.metadata.signed.expires, -lifetimeYears.targets));
  return new Date(Math.max(...signed.map((date) => date.getTime())));
}

/**
 * What is signed now is valid from now on for the lifetime of its role, and appliances believe its date: a clock that is
 * behind what was signed before, or years ahead of it, signs nothing until a person says that it is right.
 * @throws ImageError `clock-behind`, `clock-ahead`
 */
export function requireSigningTime(trusted: Trusted, now: Date): void {
  const last = lastSigned(trusted);
  const told = repositoryTexts.clockIsOff(dateText(now), dateText(last));
  const next = repositoryTexts.clockIsOffNext;
  if (now.getTime() < last.getTime() - hourMs) throw new ImageError('clock-behind', told, next);
  if (now > yearsFrom(last, aheadYearsMax)) throw new ImageError('clock-ahead', told, next);
}
