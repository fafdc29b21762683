import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';

/** What a meter says, in physical units. */
export const readingShape = z.object({ kWh: z.number(), kW: z.number() });
export type Reading = z.infer<typeof readingShape>;

const registersShape = z.record(z.string(), z.object({ name: z.string(), factor: z.number() }));
const answerCharsMax = 1_000;

/**
 * Reads the meter once: it is sent `READ` and answers with one line, such as `1.8.0=123456;1.7.0=420`.
 * @param assets the directory with `registers.json`, which says what the numbers mean
 * @throws when it does not answer, or not like a meter
 */
export async function readMeter(
  address: { readonly host: string; readonly port: number },
  assets: string,
  signal: AbortSignal,
): Promise<Reading> {
  const registers = registersShape.parse(JSON.parse(await readFile(join(assets, 'registers.json'), 'utf8')));
  return readingOf(await ask(address, signal), registers);
}

export function readingOf(line: string, registers: z.infer<typeof registersShape>): Reading {
  const values: Record<string, number> = {};
  for (const part of line.trim().split(';')) {
    const [code = '', raw = ''] = part.split('=');
    const register = registers[code];
    // Meters of other makes have registers that nobody asked for.
    if (register !== undefined && /^\d+$/.test(raw)) values[register.name] = Number(raw) * register.factor;
  }
  const parsed = readingShape.safeParse(values);
  if (!parsed.success) throw new Error(`the meter's answer has no reading: ${line.slice(0, 80)}`);
  return parsed.data;
}

function ask(address: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ ...address, signal }, () => socket.write('READ\n'));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (!text.includes('\n') && text.length <= answerCharsMax) return;
      resolve(text.split('\n', 1)[0] ?? '');
      socket.destroy();
    });
    socket.on('end', () => reject(new Error('the meter hung up before its answer')));
    socket.on('error', reject);
  });
}
