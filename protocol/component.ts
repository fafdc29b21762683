import { z } from 'zod';

/** What a slot holds: `app` is the agent. */
export const components = ['app', 'updater', 'os'] as const;
export const componentShape = z.enum(components);
export type Component = z.infer<typeof componentShape>;

/** The slots of a component: updates write the numbered ones; `factory` is shipped and read-only. */
export const slotShape = z.enum(['0', '1', '2', 'factory']);
export type SlotName = z.infer<typeof slotShape>;

/** The slots that an update may write, by component. */
export const writableSlots: Readonly<Record<'app' | 'updater', readonly SlotName[]>> = {
  app: ['0', '1', '2'],
  updater: ['0', '1'],
};
