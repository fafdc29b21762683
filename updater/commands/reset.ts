import { join } from 'node:path';
import { takeLock } from '../appliance/lock.ts';
import { type CommandLine, fail, say, usage } from '../effects/command-line.ts';
import { loadPublicIdentity } from '../identity/identity.ts';
import { openEvents } from '../server/events.ts';
import { trustedTimeName } from '../trust/trust-files.ts';
import { commandTexts } from '../words/texts.ts';

/** How a person resets each number that only rises here. A reset never changes what runs or what may be installed. */

interface Reset {
  /** @returns whether there was anything to reset */
  readonly does: (line: CommandLine) => boolean;
  readonly done: string;
  /** What holds when there was nothing to reset. */
  readonly none: string;
  readonly next: string;
}

function removed({ files }: CommandLine, ...paths: readonly string[]): boolean {
  const found = paths.filter((path) => files.stat(path) !== null);
  for (const path of found) files.unlink(path);
  return found.length > 0;
}

function offerAgain({ files, layout, clock }: CommandLine): boolean {
  const appliance = loadPublicIdentity(files, layout)?.appliance ?? '';
  return openEvents(files, layout, clock, appliance).offerAgain() > 0;
}

const resets: Readonly<Record<string, Reset>> = {
  counter: {
    does: (line) => removed(line, line.layout.counter),
    done: commandTexts.counterReset,
    none: commandTexts.noCounter,
    next: commandTexts.counterNext,
  },
  'trusted-time': {
    // Otherwise the last answer would bring it back.
    does: (line) => removed(line, join(line.layout.trust, trustedTimeName), join(line.layout.run, 'last-answer.json')),
    done: commandTexts.timeReset,
    none: commandTexts.noTime,
    next: commandTexts.timeNext,
  },
  acknowledged: {
    does: offerAgain,
    done: commandTexts.eventsReset,
    none: commandTexts.noEvents,
    next: commandTexts.eventsNext,
  },
  sources: {
    does: (line) => removed(line, line.layout.sources),
    done: commandTexts.sourcesReset,
    none: commandTexts.noSources,
    next: commandTexts.sourcesNext,
  },
};

export const resetNames = Object.keys(resets).join('|');

export function reset(line: CommandLine, name: string | undefined): number {
  const wanted = name !== undefined && Object.hasOwn(resets, name) ? resets[name] : undefined;
  if (wanted === undefined) return usage(line, commandTexts.resetNeeds(resetNames));
  try {
    // An updater at work holds these in memory and would write them back.
    const lock = takeLock(line.layout);
    if (lock === null) return fail(line, 'busy', commandTexts.atWorkNotReset, commandTexts.tryAfterRun);
    try {
      const changed = wanted.does(line);
      const done = changed ? wanted.done : commandTexts.notReset(wanted.none);
      return say(line, `${done}\n${wanted.next}`, { reset: name, changed, done, next: wanted.next });
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    const isDenied = error.code === 'EACCES' || error.code === 'EPERM' || error.code === 'ERR_SQLITE_ERROR';
    return isDenied
      ? fail(line, 'not-allowed', commandTexts.onlyRootResets(error.message), commandTexts.onlyRootResetsNext)
      : fail(line, 'reset-failed', error.message, commandTexts.notResetNext);
  }
}
