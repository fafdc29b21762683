import { exitUsage } from '../../protocol/exit-status.ts';
import { type Measured, resultOf } from './result.ts';

/**
 * `npm run bench -- NAME`: one JSON line a result on standard output, and nothing else there. Exits with 0 when it
 * measured, whether the targets were met or not.
 */
interface Bench {
  run(tell: (measured: Measured) => void, progress: (text: string) => void): Promise<void>;
}
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  install: () => import('./cases/install.ts'),
  delta: () => import('./cases/delta.ts'),
  swap: () => import('./cases/swap.ts'),
  fleet: () => import('./cases/fleet.ts'),
  commands: () => import('./cases/commands.ts'),
};

const [name = ''] = process.argv.slice(2);
const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (load === undefined) {
  process.stderr.write(`Name one of: ${Object.keys(benches).join(', ')}\n`);
  process.exitCode = exitUsage;
} else {
  const bench = await load();
  await bench.run(
    (measured) => process.stdout.write(`${JSON.stringify(resultOf(measured))}\n`),
    (text) => process.stderr.write(`${text}\n`),
  );
}
