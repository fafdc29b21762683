import { setTimeout as sleep } from 'node:timers/promises';
import { realFiles } from './files.ts';

export interface Clock {
  /** Milliseconds of the monotonic clock of this boot; comparable between processes, never between boots. */
  monoMs(): number;
  bootId(): string;
  /** Seconds since 1970 by the system's clock; for people and reports, never for a decision. */
  wallS(): number;
  delay(ms: number): Promise<void>;
}

export const realClock: Clock = {
  // CLOCK_MONOTONIC, which hrtime reads, has the same origin for every process of a boot.
  monoMs: () => Number(process.hrtime.bigint() / 1_000_000n),
  bootId: () => {
    const handle = realFiles.openRead('/proc/sys/kernel/random/boot_id');
    try {
      return realFiles.read(handle, 0, 64).toString('ascii').trim();
    } finally {
      realFiles.close(handle);
    }
  },
  wallS: () => Math.floor(Date.now() / 1000),
  delay: (ms) => sleep(ms),
};
