import type { Files } from '../../updater/effects/files.ts';
import { type DiskState, imageOf, settledDisk, withoutUnreachable } from './disk.ts';
import { bootAfter, type Moment, recover, traceOf } from './enumerate-kind.ts';
import type { Kind } from './kinds.ts';
import { volatile } from './scenes.ts';
import { type Cut, parseToken } from './token.ts';

export interface Replayed {
  readonly steps: readonly string[];
  /** What the updater logged after the last cut. */
  readonly lines: readonly string[];
  readonly broken: readonly string[];
}

function imageAfter({ disk }: Moment, { fates }: Cut): DiskState {
  if (fates === 'killed') return settledDisk(disk.seen, disk.nextInode);
  return imageOf(withoutUnreachable(disk), fates, volatile);
}

/** One case once more, by the token that its violation printed. @throws RangeError when there is no such case */
export async function replay(
  kinds: readonly Kind[],
  token: string,
  plant: (files: Files) => Files = (files) => files,
): Promise<Replayed> {
  const { kind: name, cuts } = parseToken(token);
  const kind = kinds.find((one) => one.name === name);
  if (kind === undefined) throw new RangeError(`there is no kind ${name}`);
  const first = await traceOf(kind, plant);
  let run: Omit<Replayed, 'steps'> & { moments: readonly Moment[] } = first;
  const steps: string[] = [];
  for (const [index, cut] of cuts.entries()) {
    const moment = run.moments[cut.prefix];
    if (moment === undefined) throw new RangeError(`there is no step ${cut.prefix}; ${run.moments.length} were made`);
    steps.push(moment.step);
    run = await recover(kind, imageAfter(moment, cut), bootAfter(cuts.slice(0, index + 1)), first.before, plant);
  }
  return { steps, lines: run.lines, broken: run.broken };
}
