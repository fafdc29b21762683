import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';

export interface Spent {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const cpuShape = z.object({ user: z.number(), system: z.number() });
const copyBytesAtOnce = 1024 * 1024;

/**
 * Runs a program on Node to its end, twice: for the time, and for the CPU, which the process itself says at its end.
 * @param prepare before each
 */
export async function spentBy(node: string, args: readonly string[], prepare: () => void): Promise<Spent> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-spent-'));
  const file = join(directory, 'cpu.json');
  const tells = `process.on('exit', () => process.getBuiltinModule('node:fs').writeFileSync(process.env.HOLDFAST_BENCH_CPU, JSON.stringify(process.cpuUsage())))`;
  try {
    prepare();
    const begunMs = performance.now();
    await execa(node, args);
    const wallMs = performance.now() - begunMs;
    prepare();
    await execa(node, ['--import', `data:text/javascript,${encodeURIComponent(tells)}`, ...args], {
      env: { HOLDFAST_BENCH_CPU: file },
    });
    const { user, system } = cpuShape.parse(JSON.parse(readFileSync(file, 'utf8')));
    return { wallMs, cpuMs: (user + system) / 1_000 };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A copy of a file with nothing but reads, writes and one sync. */
export function syncedCopyMs(from: string, to: string): number {
  const [source, target] = [openSync(from, 'r'), openSync(to, 'w')];
  const buffer = Buffer.allocUnsafe(copyBytesAtOnce);
  const begunMs = performance.now();
  for (;;) {
    const read = readSync(source, buffer, 0, buffer.length, null);
    if (read === 0) break;
    writeSync(target, buffer, 0, read);
  }
  fsyncSync(target);
  const tookMs = performance.now() - begunMs;
  for (const handle of [source, target]) closeSync(handle);
  rmSync(to);
  return tookMs;
}
