import { join } from 'node:path';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { type Measured, medianOf } from '../result.ts';
import { type Spent, spentBy } from '../swap/timing.ts';

/** What a person waits for a command beyond Node itself: the pinned Node, and the commands as `npx` starts them. */
const rounds = 15;
const beyondNodeMs = 150;
const commands = ['holdfast', 'holdfast-updater', 'holdfast-server'] as const;

export async function run(tell: (measured: Measured) => void, progress: (text: string) => void): Promise<void> {
  const cases: readonly (readonly [name: string, args: readonly string[]])[] = [
    ['node', ['-e', '0']],
    ...commands.map((name) => [name, [join(checkout, 'bin', `${name}.js`), '--version']] as const),
  ];
  const spent = new Map<string, Spent[]>(cases.map(([name]) => [name, []]));
  // The first one makes the piece that the others load.
  for (const [, args] of cases) await spentBy(nodeBinary, args, () => undefined);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, args] of cases) spent.get(name)?.push(await spentBy(nodeBinary, args, () => undefined));
    progress(`round ${round + 1} of ${rounds}`);
  }
  const median = (name: string, what: keyof Spent) => medianOf((spent.get(name) ?? []).map((one) => one[what]));
  for (const what of ['wallMs', 'cpuMs'] as const) {
    tell({ bench: 'commands', case: 'node', metric: what, value: median('node', what), unit: 'ms' });
    for (const name of commands) {
      const value = median(name, what) - median('node', what);
      tell({ bench: 'commands', case: name, metric: `${what} beyond node`, value, unit: 'ms', atMost: beyondNodeMs });
    }
  }
}
