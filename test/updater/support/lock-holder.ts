import { layoutOf } from '../../../protocol/layout.ts';
import { takeLock } from '../../../updater/appliance/lock.ts';

/** `node lock-holder.ts ROOT`: takes the lock, says so, and keeps it until it is killed or its input ends. */
const lock = takeLock(layoutOf(process.argv[2] ?? ''));
process.stdout.write(lock === null ? 'refused\n' : 'held\n');
process.stdin.resume();
process.stdin.on('end', () => lock?.release());
