import { parseArgs } from 'node:util';
import { layoutOf } from '../protocol/layout.ts';
import { realFiles } from './effects/files.ts';
import { launchCount } from './launch-count.ts';

/** EX_TEMPFAIL of sysexits.h: nothing is started now; the updater is the one to start it. */
const exitNothing = 75;
const exitUsage = 64;

function bootId(): string {
  // procfs reports size 0, so it is read by a length of its own.
  const handle = realFiles.openRead('/proc/sys/kernel/random/boot_id');
  try {
    return realFiles.read(handle, 0, 64).toString('ascii').trim();
  } finally {
    realFiles.close(handle);
  }
}

function words() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { root: { type: 'string', default: '/var/lib/holdfast' } },
    });
  } catch (error) {
    if (error instanceof TypeError) return null; // an option that does not exist
    throw error;
  }
}

function main(): number {
  const parsed = words();
  const [command, component] = parsed?.positionals ?? [];
  if (parsed === null || command !== 'count' || (component !== 'app' && component !== 'updater')) {
    process.stderr.write('usage: launch count app|updater [--root DIR]\n');
    return exitUsage;
  }
  const outcome = launchCount({ files: realFiles, bootId }, layoutOf(parsed.values.root), component);
  if (outcome.outcome === 'chosen') {
    process.stdout.write(`launch: ${component} ${outcome.version} from slot ${outcome.slot}\n`);
    return 0;
  }
  process.stderr.write(`launch: starting nothing for ${component}: ${outcome.why}\n`);
  return exitNothing;
}

process.exitCode = main();
