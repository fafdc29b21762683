import { z } from 'zod';
import { componentShape } from './component.ts';
import { digestShape } from './digest.ts';
import { pathShape } from './payload.ts';
import { quarantinedShape } from './state-record.ts';
import { versionShape } from './version.ts';

export const sealName = '.seal';
export const committedName = '.committed';
export const manifestName = '.manifest.json';

/**
 * `.seal` of a slot or runtime: what must be there, for launch's quick look (sizes) and the updater's full one
 * (hashes).
 */
export const sealShape = z.object({
  format: z.literal(1),
  component: z.union([componentShape, z.literal('runtime')]),
  version: z.union([versionShape, z.literal('')]),
  manifest: digestShape,
  securityVersion: z.int().min(0),
  entry: z.string().max(400),
  /** Directory below runtimes/, and the interpreter in it; null: the operating system's own runtime. */
  runtime: z.object({ digest: digestShape, entry: z.string().max(400) }).nullable(),
  state: z.object({ reads: z.object({ min: z.int(), max: z.int() }), writes: z.int() }),
  files: z.array(z.object({ path: pathShape, size: z.int().min(0), sha256: digestShape, executable: z.boolean() })),
  links: z.array(z.object({ path: pathShape, target: z.string().max(400) })).default([]),
  /** The content of the slot's device, if the slot is one. */
  image: z
    .object({ size: z.int().min(0), sha256: digestShape })
    .nullable()
    .default(null),
});
export type Seal = z.infer<typeof sealShape>;

/** `.committed` of a slot: written at the commit; distinguishes lost records from a first start. */
export const committedShape = z.object({
  seq: z.int().min(0),
  /** The transaction that committed it: a later one has a higher number. */
  tx: z.int().min(0).default(0),
  version: versionShape,
  manifest: digestShape,
  floor: z.object({ app: z.int(), updater: z.int() }),
  quarantine: z.array(quarantinedShape),
});
