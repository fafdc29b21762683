import { z } from 'zod';
import { applianceIdShape, uuidShape } from './ids.ts';
import { envelopeShape } from './trust/envelope.ts';
import { wireEnum } from './wire-enum.ts';

/** The kinds that the server's online key may sign: each is harmless. */
export const harmlessOrderKinds = [
  'check-in',
  'run-checks',
  'collect-logs',
  'identify',
  'network-test',
  'diagnostic',
  'run-duty',
  'run-order',
  'log-level',
  'update_iso', // the field's name for an update hint: look for a release now
] as const;
/** The kinds that need an operator's key, which the server does not hold. */
export const operatorOrderKinds = [
  'restart-agent',
  'reboot',
  'set-config',
  'set-server',
  'rotate-key',
  'recovery-access',
] as const;
const orderKindShape = wireEnum([...harmlessOrderKinds, ...operatorOrderKinds]);

export const orderPayloadType = 'application/vnd.holdfast.order+json';

/** The content of an order's envelope. Executed at most once, by its id, on the appliance that it names. */
export const orderShape = z.object({
  version: z.int().min(1),
  id: uuidShape,
  appliance: applianceIdShape,
  kind: orderKindShape,
  /** Seconds since 1970 in the server's time; compared with trusted time only. */
  expiresAtS: z.int().min(0),
  args: z.record(z.string().max(64), z.string().max(1_000)).default({}),
});
export type Order = z.infer<typeof orderShape>;
export type OrderInput = z.input<typeof orderShape>;

export const signedOrderShape = envelopeShape;
