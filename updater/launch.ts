import { parseArgs } from 'node:util';
import { layoutOf } from '../protocol/layout.ts';
import { realFiles } from './effects/files.ts';
import { launch } from './launch-count.ts';
import { countEnd } from './launch-end.ts';

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
      options: {
        root: { type: 'string', default: '/var/lib/holdfast' },
        invocation: { type: 'string', default: '' },
        code: { type: 'string', default: '' },
        status: { type: 'string', default: '' },
      },
    });
  } catch (error) {
    if (error instanceof TypeError) return null; // an option that does not exist
    throw error;
  }
}

function usage(): number {
  process.stderr.write(
    `usage: launch count|point app|updater [--root DIR]
       launch ended app --invocation ID --code CODE --status STATUS [--root DIR]\n`,
  );
  return exitUsage;
}

function main(): number {
  const parsed = words();
  const [command, component] = parsed?.positionals ?? [];
  if (parsed === null || (component !== 'app' && component !== 'updater')) return usage();
  const layout = layoutOf(parsed.values.root);
  if (command === 'ended' && component === 'app') {
    const { invocation, code, status } = parsed.values;
    const what = code === '' ? 'nothing of the agent had been started' : `the agent ended (${code} ${status})`;
    const counted = countEnd(realFiles, layout, { invocation, code, status });
    process.stdout.write(`launch: ${what}${counted || code === '' ? '' : ', as it was told to'}\n`);
    return 0;
  }
  if (command !== 'count' && command !== 'point') return usage();
  const outcome = launch({ files: realFiles, bootId }, layout, component, command);
  if (outcome.outcome === 'chosen') {
    process.stdout.write(`launch: ${component} ${outcome.version} from slot ${outcome.slot}\n`);
    return 0;
  }
  process.stderr.write(`launch: starting nothing for ${component}: ${outcome.why}\n`);
  return exitNothing;
}

process.exitCode = main();
