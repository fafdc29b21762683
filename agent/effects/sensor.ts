import type { Sensor } from './effects.ts';

/** A measurement that takes longer is given up, so that a slow source never delays the duty. */
const measureMsMax = 50;
/** The first one may take longer: it loads the library, and nothing waits for the duty yet. */
const firstMeasureMsMax = 1_000;

/** Memory in use, as a percentage, by systeminformation (which reads /proc/meminfo; no process is started). */
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
  const { default: system } = await import('systeminformation'); // CommonJS: a bundle exports only this name
  const { total, available } = await system.mem();
  if (!(total > 0) || !(available >= 0)) return null;
  return Math.round(((total - available) / total) * 10_000) / 100;
}
