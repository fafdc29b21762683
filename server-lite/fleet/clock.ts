import { z } from 'zod';
import type { CheckInRequest } from '../../protocol/check-in.ts';
import { applianceTexts } from '../texts.ts';

/** What an appliance's clocks show (S44). People read it; no decision depends on it. */

/** Less time than this between two readings says nothing about a clock's pace. */
const paceMs = 60_000;
/** A reference is kept for this long, so that slow drift between two check-ins is noticed. */
const referenceMs = 15 * 60_000;
/** Certificates, logs and people's maintenance windows still tolerate this much. */
const offWarnS = 5 * 60;

const readingShape = z.object({ atMs: z.number(), boot: z.string(), wallS: z.number(), monoMs: z.number() });
type Reading = z.infer<typeof readingShape>;

/** Two readings in one boot, as far apart as is useful. */
export const clockShape = z.object({ reference: readingShape, latest: readingShape });
export type ClockReadings = z.infer<typeof clockShape>;

/** The readings after one more check-in. */
export function noteClock(
  before: ClockReadings | null,
  { boot, clock }: Pick<CheckInRequest, 'boot' | 'clock'>,
  atMs: number,
): ClockReadings {
  const latest: Reading = { atMs, boot, wallS: clock.wallS, monoMs: clock.monoMs };
  const { reference, latest: last } = before ?? { reference: latest, latest };
  if (reference.boot !== boot) return { reference: latest, latest };
  return { reference: atMs - reference.atMs > referenceMs ? last : reference, latest };
}

/** @returns what is wrong with the clocks, as a sentence; null: nothing that can be seen */
export function clockTrouble(readings: ClockReadings | null): string | null {
  if (readings === null) return null;
  const { reference, latest } = readings;
  const passedMs = latest.atMs - reference.atMs;
  if (passedMs >= paceMs) {
    const stands = (wentMs: number) => wentMs * 2 < passedMs;
    const passed = applianceTexts.within(Math.round(passedMs / 1000));
    if (stands(latest.monoMs - reference.monoMs)) return applianceTexts.uptimeStands(passed);
    if (stands((latest.wallS - reference.wallS) * 1000)) return applianceTexts.clockStands(passed);
  }
  const offS = Math.round(latest.wallS - latest.atMs / 1000);
  if (Math.abs(offS) <= offWarnS) return null;
  return applianceTexts.clockOff(offS);
}
