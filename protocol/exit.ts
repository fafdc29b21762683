import { z } from 'zod';

/** How a process ended. */
export const exitShape = z.object({ code: z.int().nullable(), signal: z.string().max(16).nullable() });
export type Exit = z.infer<typeof exitShape>;
