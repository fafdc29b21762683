import { layoutOf } from '../../../protocol/layout.ts';
import { takeLock } from '../../../updater/appliance/lock.ts';

/** Takes the lock again and again, and says from when to when it had it. */
const turns = 30;
const now = () => Number(process.hrtime.bigint());
for (let turn = 0; turn < turns; turn += 1) {
  const lock = takeLock(layoutOf(process.argv[2] ?? ''));
  if (lock === null) continue;
  const fromNs = now();
  for (const endNs = fromNs + 1_000_000; now() < endNs; );
  process.stdout.write(`${fromNs} ${now()}\n`);
  lock.release();
}
