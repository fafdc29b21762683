import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Measured } from './result.ts';
import { resultOf } from './result.ts';

/**
 * `npm run bench -- NAME`: one JSON line a result on standard output, and nothing else there. Exits with 0 when it
 * measured, whether the targets were met or not.
 */
const cases = join(import.meta.dirname, 'cases');
const names = readdirSync(cases).flatMap((file) => (file.endsWith('.ts') ? [file.slice(0, -3)] : []));
const exitUsage = 64;

type Run = (tell: (measured: Measured) => void, progress: (text: string) => void) => Promise<void>;
const benchShape = z.object({ run: z.custom<Run>((value) => typeof value === 'function') });

const [name] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  process.stderr.write(`Name one of: ${names.join(', ')}\n`);
  process.exitCode = exitUsage;
} else {
  const { run } = benchShape.parse(await import(join(cases, `${name}.ts`)));
  await run(
    (measured) => process.stdout.write(`${JSON.stringify(resultOf(measured))}\n`),
    (text) => process.stderr.write(`${text}\n`),
  );
}
