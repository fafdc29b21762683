/** How far one message may move a number that only rises, so that no single message from outside can use it up. */

/**
 * A check-in's counter, at the server: how far one check-in moves it. An appliance that crashed a thousand times without
 * a network is within it, so what was recorded of it lies behind its next check-in. An attacker with a copied key who
 * sends for a day moves it by less than one answer may move the appliance, so the appliance is past it after one refusal.
 */
export const serverCounterStepMax = 2 ** 20;
/**
 * The same counter, at the appliance: how far one signed refusal moves it. No single message can bring it to its end,
 * and there it starts again.
 */
export const counterStepMax = 2 ** 40;
/** Event numbers: far more than one sender makes between two messages. */
export const eventNumberStepMax = 1_000_000;
/** Counters stay below this; a stored one above it counts as damaged and starts again. */
export const counterMax = 2 ** 52;
/** Trusted time: an appliance that was off for a year catches up with a year's worth of answers. Seconds. */
export const trustedTimeStepS = 24 * 60 * 60;
/** A version of the server's metadata that an appliance reports: no server publishes this often between two backups. */
export const metadataVersionStepMax = 10_000;
/**
 * The number of the sources that a person or a stick brings: it counts changes, and nobody makes more than this between
 * two of them.
 */
export const sourcesStepMax = 1_000;

/**
 * A release's security version above the floor of an appliance, or above the newest release of its repository. It
 * leaves room for numbers that are dates; a typing error does not use them all up.
 */
export const securityVersionStepMax = 100_000_000;

/** @returns `asked`, but not below `current` and not above it by more than `stepMax` */
export function stepTowards(current: number, asked: number, stepMax: number): number {
  return Math.min(Math.max(asked, current), current + stepMax);
}
