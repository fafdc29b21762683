import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { inOneLine } from '../../protocol/printable.ts';
import type { Request } from '../../protocol/request.ts';
import type { Status } from '../../protocol/status.ts';
import { isOfSystem, type SystemProblem, systemProblem } from '../../protocol/system-problem.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { type CommandLine, fail, say, usage } from '../effects/command-line.ts';
import { isOutOfSpace, replaceJson, writeNewFile } from '../effects/durable.ts';
import { HeldDirectoryError, withDirectory } from '../effects/held-directory.ts';
import { loadSettings } from '../identity/settings.ts';
import { sweepRequests } from '../requests/page-places.ts';
import { readSourcesFile } from '../trust/sources.ts';
import { ageTyped } from '../words/age-word.ts';
import { commandTexts } from '../words/texts.ts';
import { readStatus } from './read-status.ts';

/** How a command asks the updater: it leaves a request in run/own-requests or run/requests and waits for the result. */

export type Wanted = Request extends infer One ? (One extends { kind: string } ? Omit<One, 'v' | 'id'> : never) : never;

/** How long a command waits: a request is seen at once, a look ends with the check-in, a transaction with its trial. */
const seenWithinMs = 30_000;
const lookedWithinMs = 3 * 60_000;
const endsWithinMs = 45 * 60_000;
const lookEveryMs = 50;
/** A run that is just ending does not notice new requests, so a waiting command knocks again. */
const knockEveryMs = 2_000;

type Answer = NonNullable<Status['lastRequest']>;

/** Leaves the request and waits: with --no-wait until it begins, otherwise until it ends. */
export async function request(line: CommandLine, wanted: Wanted, id: string = randomUUID()): Promise<number> {
  const lastTx = readStatus(line)?.transactions.at(-1)?.tx ?? 0;
  const refused = leaveOrFail(line, { v: 1, id, ...wanted });
  if (refused !== null) return refused;
  const seen = await waitFor(line, seenWithinMs, (found) => answerTo(id, found), knocking(line));
  if (seen === null) {
    return fail(line, 'request-not-seen', commandTexts.notTaken, commandTexts.notTakenNext);
  }
  const isOver = seen.open !== true && seen.outcome !== 'begun';
  if (isOver || !line.options.wait) return tell(line, seen);
  line.complain(inOneLine(seen.text));
  // An updater that reports nothing more about it; its history does.
  if (seen.open !== true)
    return wanted.kind === 'retry' ? tell(line, seen) : endOf(line, (found) => firstAfter(found, lastTx));
  return resultOf(line, id, seen);
}

/** Waits for the answer that takes the place of the open one. */
async function resultOf(line: CommandLine, id: string, seen: Answer): Promise<number> {
  const looked = await waitFor(line, lookedWithinMs, (found) => {
    const answer = answerTo(id, found);
    return answer === null || answer.open !== true || answer.tx !== undefined ? { answer } : null;
  });
  if (looked === null) return stillRunning(line, commandTexts.notLooked);
  const { answer } = looked;
  // Another request took its place meanwhile; the history still records a transaction.
  if (answer === null)
    return seen.tx === undefined ? stillRunning(line, commandTexts.anotherRequest) : endOfTx(line, seen.tx);
  if (answer.open !== true) return tell(line, answer, seen.text);
  if (answer.text !== seen.text) line.complain(inOneLine(beyond(seen.text, answer.text)));
  const ended = await waitFor(line, endsWithinMs, (found) => {
    const now = answerTo(id, found);
    return now?.open === true ? null : { answer: now };
  });
  if (ended === null) return stillRunning(line, commandTexts.notEnded);
  // `begun` is not an end: an updater that knows no other answer replaced the one that began.
  if (ended.answer !== null && ended.answer.outcome !== 'begun') return tell(line, ended.answer, answer.text);
  return answer.tx === undefined ? stillRunning(line, commandTexts.anotherRequest) : endOfTx(line, answer.tx);
}

function stillRunning(line: CommandLine, text: string): number {
  return fail(line, 'still-running', text, commandTexts.seeStatus);
}

/**
 * Each answer repeats the one before it, for the page, which shows only the last; what this terminal already shows is
 * left out.
 */
function beyond(said: string, text: string): string {
  return text.startsWith(`${said}; `) ? text.slice(said.length + 2) : text;
}

function tell(line: CommandLine, answer: Answer, said = ''): number {
  const { outcome, code } = answer;
  const text = beyond(said, answer.text);
  if (outcome === 'refused') return fail(line, code ?? 'request-refused', text, commandTexts.nothingChanged);
  if (outcome === 'failed') return fail(line, code ?? 'failed', text, commandTexts.seeWhy);
  return say(line, inOneLine(text), answer);
}

type Line = Status['transactions'][number];

const endOfTx = (line: CommandLine, tx: number) =>
  endOf(line, (found) => found.transactions.find((one) => one.tx === tx) ?? null);

/** The first transaction that began after those that existed when the request was made. */
function firstAfter({ transactions }: Status, tx: number): Line | null {
  return transactions.filter((one) => one.tx > tx).sort((a, b) => a.tx - b.tx)[0] ?? null;
}

async function endOf(line: CommandLine, find: (found: Status) => Line | null): Promise<number> {
  // The line alone proves nothing: the status may have been written in the middle of the transaction.
  const end = await waitFor(line, endsWithinMs, (found) => (found.row === 'idle' ? find(found) : null));
  if (end === null) return stillRunning(line, commandTexts.notEnded);
  const word = wordOf(end.outcome);
  if (word === 'committed' || word === 'written') return say(line, inOneLine(end.text), end);
  return fail(line, end.reason ?? word, end.text, commandTexts.continuesToRun(end.from));
}

/** Root's own requests have their own answer, so that the page's user cannot displace it by asking again. */
function answerTo(id: string, { lastRequest, lastOwnRequest }: Status): Status['lastRequest'] {
  return [lastOwnRequest, lastRequest].find((answer) => answer?.id === id) ?? null;
}

/** @returns the exit status when the request could not be left; null: it was left */
function leaveOrFail(line: CommandLine, asked: Request): number | null {
  try {
    leave(line, asked);
    return null;
  } catch (error) {
    if (!(error instanceof HeldDirectoryError || isOfSystem(error))) throw error;
    const problem = systemProblem(error);
    return fail(
      line,
      'request-not-left',
      commandTexts.notLeft(problem?.message ?? error.message),
      nextOf(problem, line.layout.run),
    );
  }
}

/** A run puts wrong places right, but makes no room and no disk writable. */
function nextOf(problem: SystemProblem | null, run: string): string {
  if (problem?.code === 'not-allowed') return commandTexts.askAsRootUnchanged;
  const isOfDisk = problem?.code === 'disk-full' || problem?.code === 'read-only';
  return isOfDisk ? commandTexts.notLeftByDisk(problem.next) : commandTexts.notLeftNext(run);
}

function leave(line: CommandLine, asked: Request): void {
  const settings = loadSettings(line.files, line.layout);
  const hasOwnPlace = settings.pageUser !== null && process.getuid?.() === 0;
  // This program belongs to the operating system; the updater in the slot may not know this place, and would say
  // nothing.
  if (hasOwnPlace && readStatus(line)?.lastOwnRequest !== undefined) leaveAsRoot(line, asked);
  else leaveBesidePage(line, asked, settings);
}

/** In root's own directory: the page's user can neither remove the request nor fill the directory. */
function leaveAsRoot({ files, layout }: CommandLine, asked: Request): void {
  files.makeDirectory(layout.ownRequests, 0o700);
  replaceJson(files, `${layout.ownRequests}/${asked.id}.json`, asked, 0o600);
}

/** In the directory that the page's user owns, and may have filled. */
function leaveBesidePage(
  { files, layout, complain: log }: CommandLine,
  asked: Request,
  settings: ReturnType<typeof loadSettings>,
): void {
  const write = () =>
    withDirectory(files, layout.requests, settings.pageUser, (requests) => {
      const temporary = requests.at(`${asked.id}.tmp`);
      files.unlink(temporary);
      writeNewFile(files, temporary, Buffer.from(JSON.stringify(asked)), 0o600);
      files.rename(temporary, requests.at(`${asked.id}.json`));
    });
  try {
    write();
  } catch (error) {
    if (!isOutOfSpace(error) || sweepRequests({ files, layout, settings, log }) === 0) throw error;
    write();
  }
}

/** Tells the watcher of these directories once more. */
function knock({ files, layout }: CommandLine): void {
  for (const place of [layout.ownRequests, layout.requests]) {
    const facts = files.stat(place);
    if (facts?.kind === 'directory' && [facts.uid, 0].includes(process.getuid?.() ?? 0)) files.touch(place);
  }
}

/** @returns null: it was not there in time */
async function waitFor<T>(
  line: CommandLine,
  withinMs: number,
  find: (found: Status) => T | null,
  beforeEachLook: () => void = () => undefined,
): Promise<T | null> {
  const { clock } = line;
  for (const startedMs = clock.monoMs(); clock.monoMs() - startedMs < withinMs; await clock.delay(lookEveryMs)) {
    beforeEachLook();
    const status = readStatus(line);
    const found = status === null ? null : find(status);
    if (found !== null) return found;
  }
  return null;
}

function knocking(line: CommandLine): () => void {
  let knockedMs = line.clock.monoMs();
  return () => {
    if (line.clock.monoMs() - knockedMs < knockEveryMs) return;
    knockedMs = line.clock.monoMs();
    knock(line);
  };
}

/** Goes back to the previous version; with an age named, even if that version cannot read today's data. */
export function rollback(line: CommandLine): Promise<number> | number {
  const typed = line.options['data-age'];
  const back = readStatus(line)?.back;
  // The request means the version that status showed: if another version has come meanwhile, the updater refuses.
  const shown = back?.manifest == null ? {} : { manifest: back.manifest };
  if (typed === undefined) return request(line, { kind: 'rollback', ...shown });
  const ageH = ageTyped(typed);
  if (ageH === null) return usage(line, commandTexts.notAnAge(typed));
  return request(line, { kind: 'rollback', ...shown, data: { tx: back?.data?.tx ?? 0, ageH } });
}

/** Of the named release, or of the newest one that failed its trial: what a person left on purpose has to be named. */
export function retry(line: CommandLine, version: string | undefined): Promise<number> | number {
  const quarantine = readStatus(line)?.quarantine ?? [];
  const entry = quarantine.findLast((one) =>
    version === undefined ? one.reason !== 'by hand' : one.version === version,
  );
  if (entry !== undefined) return request(line, { kind: 'retry', manifest: entry.manifest });
  if (version === undefined) return request(line, { kind: 'retry' });
  const rest = quarantine.map((one) => one.version).join(', ') || commandTexts.nothing;
  return fail(line, 'not-quarantined', commandTexts.notInQuarantine(version, rest), commandTexts.nothingChanged);
}

/** What a person sets, for the updater to check and take. */
export async function setSources(line: CommandLine, file: string): Promise<number> {
  const given = readSourcesFile(line.files, resolve(file));
  if ('sources' in given) return request(line, { kind: 'set-sources', sources: given.sources });
  const next = commandTexts.sourcesKeys;
  return fail(line, 'sources-invalid', commandTexts.notSources(file, given.why), next);
}
