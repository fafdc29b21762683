import type { Sensor } from './effects.ts';

/** A measurement that takes longer is given up, so that a slow source never holds up the duty. */
const measureMsMax = 50;
/** The first one may take longer: it loads the library, and nobody waits for the duty yet. */
const firstMeasureMsMax = 1_000;

/** Memory in use, in percent of all, by systeminformation (which reads /proc/meminfo; no process is started). */
export function memorySensor(): Sensor {
  let boundMs = firstMeasureMsMax;
  return async () => {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), boundMs);
    });
    boundMs = measureMsMax;
    try {
      return await Promise.race([measure(), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  };
}

async function measure(): Promise<number | null> {
  const { default: system } = await import('systeminformation'); // CommonJS: a bundle has no names but this one
  const { total, available } = await system.mem();
  if (!(total > 0) || !(available >= 0)) return null;
  return Math.round(((total - available) / total) * 10_000) / 100;
}
