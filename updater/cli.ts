import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { type ClaimError, decodeClaim } from '../protocol/claim.ts';
import type { Layout } from '../protocol/layout.ts';
import type { Request } from '../protocol/request.ts';
import { type Status, statusShape } from '../protocol/status.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import { ageTyped } from './age-word.ts';
import type { Clock } from './effects/clock.ts';
import { readFile, readJson, writeNewFile } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import { runProgram } from './effects/programs.ts';
import { readHistory } from './history.ts';
import { statusText } from './status-text.ts';

/** What a command works with. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly options: {
    readonly root: string;
    readonly server?: string | undefined;
    readonly claim?: string | undefined;
    readonly 'claim-file'?: string | undefined;
    readonly factory: string;
    readonly port?: string | undefined;
    readonly host?: string | undefined;
    readonly json: boolean;
    readonly wait: boolean;
    readonly 'data-age'?: string | undefined;
    readonly help: boolean;
    readonly version: boolean;
  };
  readonly version: string;
  /** When this program was built, in seconds since 1970 (0: unknown), and the directory that it lies in. */
  readonly builtAtS: number;
  readonly home: string;
  readonly layout: Layout;
  readonly files: Files;
  readonly clock: Clock;
  print(text: string): void;
  complain(text: string): void;
}

const exitOk = 0;
const exitFailed = 1;
const exitUsage = 64;

const help = `holdfast-updater: installs, tries and rolls back the agent of this appliance

  setup --server URL --claim CODE   make this machine an appliance of a server (or --claim-file FILE)
  run                               one run: carry on or look for a release, then end
  status                            what runs, what is in the slots, what went on last
  why                               one sentence: why this appliance is on what it is on
  install FILE                      install a bundle from a file
  rollback [--data-age AGE]         go back to the previous version of the agent; AGE: where it can not read today's
                                    data, to its data of before, of this age, e.g. 5d, as status says it
  retry                             let a release that was rolled back be tried again
  history                           the last transactions
  sources [FILE]                    where releases may come from; set them from a JSON file

  --root DIR   the data partition (default /var/lib/holdfast)
  --json       for programs        --no-wait   do not wait for the end of a request
  --help       this text           --version   the version of this program`;

/** @returns the exit status: 0 done, 1 refused or failed, 64 usage */
export async function runCommand(line: CommandLine): Promise<number> {
  const [command, ...rest] = line.words;
  if (line.options.version) return say(line, line.version, { version: line.version });
  if (line.options.help || command === undefined) {
    line.print(help);
    return line.options.help ? exitOk : exitUsage;
  }
  switch (command) {
    case 'setup':
      return setup(line);
    case 'run': {
      if (line.files.stat(line.layout.updater)?.kind !== 'directory') return noAppliance(line);
      const { runOnce } = await import('./run.ts');
      return runOnce(line);
    }
    case 'probe':
      return (await import('./probe.ts')).probeCommand(line);
    case 'status':
      return status(line);
    case 'why':
      return why(line);
    case 'history':
      return history(line);
    case 'install':
      if (rest[0] === undefined) return usage(line, 'install needs a FILE');
      return request(line, { kind: 'install', file: resolve(rest[0]) });
    case 'rollback':
      return rollback(line);
    case 'retry':
    case 'check':
      return request(line, { kind: command });
    case 'sources':
      return rest[0] === undefined ? sources(line) : setSources(line, rest[0]);
    default:
      return usage(line, `there is no command ${command}`);
  }
}

/** A machine that was set up, and whose data partition did not come: it must not hang, and not begin anew (S47). */
function noAppliance(line: CommandLine): number {
  return fail(
    line,
    'no-appliance',
    `there is no appliance in ${line.layout.root}: ${line.layout.updater} is not there`,
    'If this machine was set up before, its data partition is not mounted: look at findmnt and the disk. Else run setup.',
  );
}

function usage(line: CommandLine, text: string): number {
  line.complain(`${text}\nTry: holdfast-updater --help`);
  return exitUsage;
}

function say(line: CommandLine, text: string, value: unknown): number {
  line.print(line.options.json ? JSON.stringify(value) : text);
  return exitOk;
}

function fail(line: CommandLine, code: string, message: string, next: string): number {
  line.complain(line.options.json ? JSON.stringify({ code, message, next }) : `${code}: ${message}\n${next}`);
  return exitFailed;
}

const statusBytesMax = 256 * 1024;

function readStatus(line: CommandLine): Status | null {
  const parsed = statusShape.safeParse(readJson(line.files, line.layout.status, statusBytesMax));
  return parsed.success ? parsed.data : null;
}

function noStatus(line: CommandLine): number {
  return fail(
    line,
    'status-unknown',
    'the updater has not written a status since the boot, so nothing is known',
    'Start one run: holdfast-updater run',
  );
}

function status(line: CommandLine): number {
  const found = readStatus(line);
  if (found === null) return noStatus(line);
  return say(line, statusText(found), found);
}

function rollback(line: CommandLine): Promise<number> | number {
  const typed = line.options['data-age'];
  if (typed === undefined) return request(line, { kind: 'rollback' });
  const ageH = ageTyped(typed);
  if (ageH === null) return usage(line, `--data-age needs an age like 7h or 5d, not ${typed}`);
  return request(line, { kind: 'rollback', data: { tx: readStatus(line)?.back?.data?.tx ?? 0, ageH } });
}

function why(line: CommandLine): number {
  const found = readStatus(line);
  return found === null ? noStatus(line) : say(line, found.why, { why: found.why });
}

function history(line: CommandLine): number {
  const lines = readHistory(line.files, line.layout);
  const text = lines.map(
    (one) =>
      `${new Date(one.wallS * 1000).toISOString()}  ${one.component} ${one.from} -> ${one.to}  ${wordOf(one.outcome)}  ${one.text}`,
  );
  return say(line, text.length === 0 ? 'nothing was installed yet' : text.join('\n'), lines);
}

async function setup(line: CommandLine): Promise<number> {
  const { options, files, layout } = line;
  const file = options['claim-file'];
  const text =
    options.claim ?? (file === undefined ? undefined : readFile(files, resolve(file), 10_000)?.toString('utf8'));
  if (text === undefined) return usage(line, 'setup needs --claim CODE or --claim-file FILE');
  const [{ setUp }, { SetUpError }, { makeHttp }, { ReleaseError }, { loadSettings }] = await Promise.all([
    import('./setup.ts'),
    import('./set-up-error.ts'),
    import('./effects/http.ts'),
    import('./release/release-error.ts'),
    import('./settings.ts'),
  ]);
  const { startUnits } = await import('./processes/systemd-control.ts');
  try {
    const claim = decodeClaim(text);
    const wanted = { ...claim, url: options.server ?? claim.url };
    const result = await setUp({
      files,
      http: makeHttp(),
      layout,
      claim: wanted,
      factory: options.factory,
      version: line.version,
      log: line.complain,
    });
    if (loadSettings(files, layout).processControl.kind === 'systemd') await startUnits(runProgram);
    const pin = result.pin === null ? '' : `\nPIN of the field page (shown once): ${result.pin}`;
    return say(
      line,
      `${result.name} is appliance ${result.appliance}: app ${result.app}, updater ${result.updater}${pin}`,
      result,
    );
  } catch (error) {
    if (error instanceof SetUpError || error instanceof ReleaseError)
      return fail(line, error.code, error.message, error.next);
    if (isClaimError(error)) return fail(line, error.code, error.message, 'Then run setup again; nothing was changed.');
    if (error instanceof Error && 'code' in error)
      return fail(line, String(error.code), error.message, 'Run setup again: it carries on where it stopped.');
    throw error;
  }
}

function sources(line: CommandLine): number {
  const found = readStatus(line);
  if (found === null) return noStatus(line);
  const text = found.sources === undefined ? 'nothing is set: the server only' : JSON.stringify(found.sources);
  return say(line, text, { sources: found.sources ?? null });
}

/** A person's word, which the updater checks and takes. */
async function setSources(line: CommandLine, file: string): Promise<number> {
  const { readSourcesFile } = await import('./release/sources.ts');
  const given = readSourcesFile(line.files, resolve(file));
  if (given !== null) return request(line, { kind: 'set-sources', sources: given });
  return fail(line, 'sources-invalid', `${file} does not hold sources`, 'See README; nothing was changed.');
}

function isClaimError(error: unknown): error is ClaimError {
  return error instanceof Error && 'code' in error && error.code === 'claim-code-invalid';
}

type Wanted = Request extends infer One ? (One extends { kind: string } ? Omit<One, 'v' | 'id'> : never) : never;

/** How long a person's command waits: a request is seen at once, a transaction ends with its trial. */
const seenWithinMs = 30_000;
const endsWithinMs = 45 * 60_000;
const lookEveryMs = 50;

async function request(line: CommandLine, wanted: Wanted): Promise<number> {
  const { files, layout } = line;
  const id = randomUUID();
  const temporary = join(layout.requests, `${id}.tmp`);
  writeNewFile(files, temporary, Buffer.from(JSON.stringify({ v: 1, id, ...wanted })), 0o600);
  const lastTx = newestLine(readStatus(line))?.tx ?? 0;
  files.rename(temporary, join(layout.requests, `${id}.json`));
  const answered = await waitFor(line, seenWithinMs, (found) => found.lastRequest?.id === id);
  if (answered === null) {
    return fail(
      line,
      'request-not-seen',
      'no updater took the request',
      'Start one: holdfast-updater run; the request is still there.',
    );
  }
  const { lastRequest } = answered;
  if (lastRequest === null || lastRequest.outcome === 'refused') {
    const code = lastRequest?.code ?? 'request-refused';
    return fail(line, code, lastRequest?.text ?? 'refused', 'Nothing was changed.');
  }
  if (lastRequest.outcome === 'done' || !line.options.wait) return say(line, lastRequest.text, lastRequest);
  line.complain(lastRequest.text);
  if (wanted.kind === 'retry') return say(line, lastRequest.text, lastRequest);
  // Idle alone says nothing: the status may still be the one from before the transaction began.
  const ended = await waitFor(line, endsWithinMs, (found) => found.row === 'idle' && hasEnded(found, lastTx));
  if (ended === null)
    return fail(line, 'still-running', 'the transaction has not ended', 'See holdfast-updater status');
  const end = newestLine(ended);
  if (end === undefined || end.outcome === 'committed') return say(line, ended.why, ended);
  if (end.outcome === 'written') return say(line, end.text, ended);
  return fail(line, end.reason ?? wordOf(end.outcome), end.text, `${end.from} runs on.`);
}

function newestLine(status: Status | null): Status['transactions'][number] | undefined {
  return status?.transactions.at(-1);
}

function hasEnded(status: Status, lastTx: number): boolean {
  return (newestLine(status)?.tx ?? 0) > lastTx;
}

async function waitFor(
  line: CommandLine,
  withinMs: number,
  isThere: (found: Status) => boolean,
): Promise<Status | null> {
  const { clock } = line;
  for (const startedMs = clock.monoMs(); clock.monoMs() - startedMs < withinMs; await clock.delay(lookEveryMs)) {
    const found = readStatus(line);
    if (found !== null && isThere(found)) return found;
  }
  return null;
}
