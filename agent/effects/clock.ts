import type { Clock } from './effects.ts';

export const systemClock: Clock = {
  // hrtime is CLOCK_MONOTONIC: it counts from the boot, so that times of two processes of one boot can be compared.
  monoMs: () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
  wallS: () => Math.floor(Date.now() / 1_000),
};
