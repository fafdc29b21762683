import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';

/** The root of the checkout. */
export const checkoutRoot = resolve(import.meta.dirname, '../..');

const packageShape = z.object({
  bin: z.record(z.string(), z.string()),
  scripts: z.record(z.string(), z.string()),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

export function readPackage(): z.infer<typeof packageShape> {
  return packageShape.parse(JSON.parse(readFileSync(join(checkoutRoot, 'package.json'), 'utf8')));
}
