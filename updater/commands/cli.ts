import { exitDone, exitUsage } from '../../protocol/exit-status.ts';
import { nearest } from '../../protocol/known-fields.ts';
import { commandNames, helpText, wordMissing, wordTooMany } from '../effects/command-help.ts';
import { type CommandLine, say, usage } from '../effects/command-line.ts';
import { commandTexts } from '../words/texts.ts';
import { noAppliance } from './no-appliance.ts';
import { askAsRoot, mayAct, refusedBySystem } from './refused-by-system.ts';
import type { Wanted } from './request.ts';

/** Which command does what. Each is loaded when it is called, so that a run pays only for what it uses. */

/** What only root can do, as the end of a sentence; every other command only shows. */
const rootOnly: Readonly<Record<string, string>> = {
  setup: commandTexts.toSetUp,
  run: commandTexts.toRun,
  install: 'install',
  rollback: commandTexts.toGoBack,
  retry: commandTexts.toRetry,
  check: commandTexts.toCheck,
  reset: commandTexts.toReset,
  plan: commandTexts.toPlan,
  'put-aside': commandTexts.toPutAside,
};

/**
 * @returns the exit status: 0 done, 1 refused or failed, 2 wrong usage; for `run` also the statuses that only launch
 * reads
 */
export async function runCommand(line: CommandLine): Promise<number> {
  try {
    return await carryOut(line);
  } catch (error) {
    const refused = line.words[0] === 'run' ? null : refusedBySystem(line, error);
    if (refused === null) throw error;
    return refused;
  }
}

/** Commands that read or write `updater/` itself: without that directory, an empty answer would be wrong. */
const isOfAppliance: ReadonlySet<string> = new Set([
  ...['run', 'history', 'put-aside', 'reset'],
  ...['install', 'rollback', 'retry', 'check', 'plan'],
]);

async function carryOut(line: CommandLine): Promise<number> {
  const [command, ...rest] = line.words;
  if (line.options.version) return say(line, line.version, { version: line.version });
  if (line.options.help) {
    line.print(helpText(command));
    return exitDone;
  }
  const extra = wordTooMany(line.words);
  if (extra !== undefined) return usage(line, commandTexts.wordTooMany(command, extra));
  const acts = command === 'sources' && rest[0] !== undefined ? commandTexts.toSetSources : rootOnly[command ?? ''];
  if (acts !== undefined && !mayAct(line)) return askAsRoot(line, acts);
  const missing = wordMissing(line.words);
  if (missing !== undefined) return usage(line, commandTexts.wordMissing(command, missing));
  if (isOfAppliance.has(command ?? '') && line.files.stat(line.layout.updater)?.kind !== 'directory')
    return noAppliance(line);
  switch (command) {
    case undefined:
      line.complain(helpText(undefined));
      return exitUsage;
    case 'setup':
      return (await import('./setup.ts')).setup(line);
    case 'run': {
      // A person's terminal may go away; the run still finishes what it began.
      process.on('SIGHUP', () => undefined);
      const { runOnce } = await import('../run/run.ts');
      return runOnce(line);
    }
    case 'probe':
      return (await import('../transaction/probe.ts')).probeCommand(line);
    case 'status':
      return (await import('./show.ts')).status(line);
    case 'why':
      return (await import('./show.ts')).why(line);
    case 'history':
      return (await import('./show.ts')).history(line);
    case 'install':
      return (await import('./install.ts')).install(line, rest[0] ?? '');
    case 'rollback':
      return (await import('./request.ts')).rollback(line);
    case 'put-aside':
      return (await import('./put-aside.ts')).putAside(line, rest);
    case 'retry':
      return (await import('./request.ts')).retry(line, rest[0]);
    case 'check':
      return ask(line, { kind: command });
    case 'reset':
      return (await import('./reset.ts')).reset(line, rest[0]);
    case 'plan':
      return (await import('./plan.ts')).plan(line, rest[0]);
    case 'sources': {
      if (rest[0] === undefined) return (await import('./show.ts')).sources(line);
      return (await import('./request.ts')).setSources(line, rest[0]);
    }
    default:
      return usage(line, commandTexts.noCommand(command, nearest(command, commandNames)));
  }
}

async function ask(line: CommandLine, wanted: Wanted): Promise<number> {
  return (await import('./request.ts')).request(line, wanted);
}
