import { type Status, statusShape } from '../../protocol/status.ts';
import { type CommandLine, fail } from '../effects/command-line.ts';
import { readJson } from '../effects/durable.ts';
import { isDamage } from '../effects/kept-file.ts';
import { statusAge } from '../words/status-age.ts';
import { commandTexts } from '../words/texts.ts';
import { otherRoot } from './other-root.ts';

const statusBytesMax = 256 * 1024;

/** null: there is none, or none that can be read; a command that only shows moves nothing out of the way. */
export function readStatus({ files, layout }: Pick<CommandLine, 'files' | 'layout'>): Status | null {
  try {
    const parsed = statusShape.safeParse(readJson(files, layout.status, statusBytesMax));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return null;
  }
}

/**
 * For display. Nothing is known about an updater that has not looked for minutes or since the boot, whatever its last
 * status says.
 */
export function readShownStatus(line: Pick<CommandLine, 'files' | 'layout' | 'clock'>): Shown | null {
  const status = readStatus(line);
  const facts = status === null ? null : line.files.stat(line.layout.status);
  if (status === null || facts === null) return null;
  const freeBytes = () => line.files.freeBytes(line.layout.run);
  const age = statusAge(status, facts.mtimeMs, line.clock, freeBytes);
  if (age.kind === 'known') return { status, old: null };
  const sentence = commandTexts.unknownBecause(`${age.why.charAt(0).toLowerCase()}${age.why.slice(1)}`);
  return { status, old: { sentence, said: status.why } };
}

/** `old`: what is said now instead of the updater's old sentence; null: the status is not old. */
export interface Shown {
  readonly status: Status;
  readonly old: { readonly sentence: string; readonly said: string } | null;
}

export function noStatus(line: CommandLine): number {
  const { files, layout } = line;
  if (files.stat(layout.root) === null || files.stat(layout.run)?.kind !== 'directory') {
    return fail(
      line,
      'status-unknown',
      commandTexts.noRun(layout.run, layout.root),
      commandTexts.noRunNext(otherRoot(layout.root)),
    );
  }
  const isDamaged = files.stat(layout.status) !== null;
  return fail(
    line,
    'status-unknown',
    isDamaged ? commandTexts.statusUnreadable : commandTexts.noStatus,
    commandTexts.noStatusNext,
  );
}
