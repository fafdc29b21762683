import { type Count, countedIn } from '../rules/window.ts';

const minuteMs = 60_000;
/** Check-ins of one program in a minute: on trial, with news, it makes less than a tenth of them. */
const perMinuteMax = 300;

/**
 * How often each key checks in. One that sends without end answers every number of its owner with a higher one, so that the owner
 * is refused: nothing here can tell the two apart, but a person is told.
 */
export interface CheckInRates {
  /** @returns whether no single program asks as often */
  noteTaken(keyId: string, nowMs: number): boolean;
}

export function checkInRates(): CheckInRates {
  const minutes = new Map<string, Count>();
  return {
    noteTaken: (keyId, nowMs) => {
      const minute = countedIn(minutes.get(keyId), nowMs, minuteMs);
      minutes.set(keyId, minute);
      return minute.n > perMinuteMax;
    },
  };
}
