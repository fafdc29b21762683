import { parseArgs } from 'node:util';
import { layoutOf } from '../protocol/layout.ts';
import { realFiles } from './effects/files.ts';
import { isOverdue, launch } from './launch-count.ts';
import { countEnd, countUpdaterEnd } from './launch-end.ts';

/** EX_TEMPFAIL of sysexits.h: nothing is started now; the updater is the one to start it. */
const exitNothing = 75;
const exitUsage = 64;
/** `overdue`: nothing hangs. */
const exitNot = 1;
/** A run of an updater on trial reads, checks in and ends; with a network that hangs it takes a minute. */
const overdueAfterS = '300';

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
        'after-s': { type: 'string', default: overdueAfterS },
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
       launch ended app|updater --invocation ID --code CODE --status STATUS [--root DIR]
       launch overdue updater [--after-s SECONDS] [--root DIR]\n`,
  );
  return exitUsage;
}

function main(): number {
  const parsed = words();
  const [command, component] = parsed?.positionals ?? [];
  if (parsed === null || (component !== 'app' && component !== 'updater')) return usage();
  const layout = layoutOf(parsed.values.root);
  const effects = { files: realFiles, bootId, monoMs: () => Number(process.hrtime.bigint() / 1_000_000n) };
  const { invocation, code, status } = parsed.values;
  if (command === 'overdue' && component === 'updater') {
    if (!isOverdue(effects, layout, Number(parsed.values['after-s']) * 1_000)) return exitNot;
    process.stdout.write('launch: the updater on trial hangs\n');
    return 0;
  }
  if (command === 'ended' && component === 'updater') {
    const failures = countUpdaterEnd(realFiles, layout, { invocation, code, status });
    if (failures > 0)
      process.stdout.write(`launch: the updater ended badly, ${failures} in a row (${code} ${status})\n`);
    return 0;
  }
  if (command === 'ended') {
    const what = code === '' ? 'nothing of the agent had been started' : `the agent ended (${code} ${status})`;
    const counted = countEnd(realFiles, layout, { invocation, code, status });
    process.stdout.write(`launch: ${what}${counted || code === '' ? '' : ', as it was told to'}\n`);
    return 0;
  }
  if (command !== 'count' && command !== 'point') return usage();
  const outcome = launch(effects, layout, component, command);
  if (outcome.outcome === 'chosen') {
    process.stdout.write(`launch: ${component} ${outcome.version} from slot ${outcome.slot}\n`);
    return 0;
  }
  process.stderr.write(`launch: starting nothing for ${component}: ${outcome.why}\n`);
  return exitNothing;
}

process.exitCode = main();
