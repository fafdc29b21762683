import { isOfSystem, systemProblem } from '../../protocol/system-problem.ts';
import { type CommandLine, fail } from '../effects/command-line.ts';
import { commandTexts } from '../words/texts.ts';

/** What a command says when the system refuses it something: a person reads a sentence, never a stack trace. */

const notAllowed: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);
const noRoom: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

/** Only root may act; everyone may look. In development, the owner of the data partition may act, too. */
export function mayAct({ files, layout }: CommandLine): boolean {
  const self = process.getuid?.() ?? 0;
  if (self === 0) return true;
  try {
    const facts = files.stat(layout.updater) ?? files.stat(layout.root);
    return facts === null || facts.uid === self;
  } catch (error) {
    // A user who may not even look there is not the owner.
    if (isOfSystem(error) && notAllowed.has(error.code)) return false;
    throw error;
  }
}

export function askAsRoot(line: CommandLine, what: string): number {
  return fail(line, 'not-allowed', commandTexts.onlyRoot(what), commandTexts.askAsRootUnchanged);
}

/** @returns the exit status; null: it is not an error of the system */
export function refusedBySystem(line: CommandLine, error: unknown): number | null {
  if (error instanceof Error && 'code' in error && error.code === 'settings-invalid') {
    const next = commandTexts.settingsAgain(line.layout.settings);
    return fail(line, error.code, error.message, next);
  }
  if (!isOfSystem(error)) return null;
  const isRoot = process.getuid?.() === 0;
  // The system's own words name the call that it refused, which is for nobody.
  const what = systemProblem(error)?.message ?? error.message;
  if (notAllowed.has(error.code)) {
    if (!isRoot) return fail(line, 'not-allowed', commandTexts.onlyRootDoes(what), commandTexts.askAsRoot);
    const next = commandTexts.confined;
    return fail(line, 'not-allowed', commandTexts.refusedToRoot(what), next);
  }
  if (noRoom.has(error.code)) return fail(line, 'disk-full', what, commandTexts.makeRoom);
  const { code, message, next } = systemProblem(error) ?? { ...error, next: commandTexts.lookAtThat };
  return fail(line, code, message, `${next.charAt(0).toUpperCase()}${next.slice(1)}.`);
}
