import { parseArgs } from 'node:util';
import { exitFailed, exitUsage } from '../../protocol/exit-status.ts';
import { layoutOf } from '../../protocol/layout.ts';
import { printable } from '../../protocol/printable.ts';
import { realFiles } from '../effects/files.ts';
import { launchTexts } from '../words/texts.ts';
import { isOverdue, launch } from './count.ts';
import { countEnd, countUpdaterEnd } from './end.ts';

/** EX_TEMPFAIL of sysexits.h: nothing is started now; the updater will start it. */
const exitNothing = 75;
/** A run of an updater on trial reads, checks in and ends; with a network that hangs it takes a minute. */
const overdueAfterS = '300';

function bootId(): string {
  // procfs reports size 0, so it is read by a fixed length.
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
  process.stderr.write(printable(launchTexts.usage));
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
    if (!isOverdue(effects, layout, Number(parsed.values['after-s']) * 1_000)) return exitFailed;
    process.stdout.write(printable(launchTexts.trialHangs));
    return 0;
  }
  if (command === 'ended' && component === 'updater') {
    const failures = countUpdaterEnd(realFiles, layout, { invocation, code, status });
    if (failures > 0) process.stdout.write(printable(launchTexts.endedBadly(failures, code, status)));
    return 0;
  }
  if (command === 'ended') {
    const what = code === '' ? launchTexts.nothingStarted : launchTexts.agentEnded(code, status);
    const counted = countEnd(realFiles, layout, { invocation, code, status });
    process.stdout.write(printable(launchTexts.ended(what, counted || code === '' ? '' : launchTexts.asOrdered)));
    return 0;
  }
  if (command !== 'count' && command !== 'point') return usage();
  const outcome = launch(effects, layout, component, command);
  if (outcome.outcome === 'chosen') {
    process.stdout.write(printable(launchTexts.starts(component, outcome.version, outcome.slot)));
    return 0;
  }
  process.stderr.write(printable(launchTexts.startsNothing(component, outcome.why)));
  return exitNothing;
}

// A journal that goes away must not stop what is about to start.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
process.exitCode = main();
