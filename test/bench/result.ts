import { z } from 'zod';

/** One line of a bench (design, section 10). Peer fields only where there is a peer. */
const resultShape = z.strictObject({
  bench: z.string(),
  case: z.string(),
  metric: z.string(),
  value: z.number(),
  unit: z.string(),
  peer: z.string().optional(),
  peerValue: z.number().optional(),
  /** value / peerValue. */
  ratio: z.number().optional(),
  target: z.string().optional(),
  met: z.boolean().optional(),
});
export type Result = z.infer<typeof resultShape>;

/** What a bench measured, before anything is judged. */
export interface Measured {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: { readonly name: string; readonly value: number };
  /** The greatest value that is wanted; of the ratio where there is a peer. */
  readonly atMost?: number;
}

const digits = 4;

function rounded(value: number): number {
  return Number(value.toPrecision(digits));
}

/** Judges a measurement: `met` comes from the numbers, never from a hand. @throws RangeError for what is no measurement */
export function resultOf({ peer, atMost, ...measured }: Measured): Result {
  if (!Number.isFinite(measured.value) || (peer !== undefined && !(peer.value > 0))) {
    throw new RangeError(`${measured.bench} ${measured.case} ${measured.metric} was not measured`);
  }
  const ratio = peer === undefined ? undefined : measured.value / peer.value;
  const judged = ratio ?? measured.value;
  return resultShape.parse({
    ...measured,
    value: rounded(measured.value),
    ...(peer === undefined || ratio === undefined
      ? {}
      : { peer: peer.name, peerValue: rounded(peer.value), ratio: rounded(ratio) }),
    ...(atMost === undefined
      ? {}
      : { target: `at most ${atMost}${ratio === undefined ? ` ${measured.unit}` : ' x'}`, met: judged <= atMost }),
  });
}

/** @throws RangeError for none */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle];
  const low = sorted[sorted.length % 2 === 0 ? middle - 1 : middle];
  if (high === undefined || low === undefined) throw new RangeError('no values to take the median of');
  return (low + high) / 2;
}
