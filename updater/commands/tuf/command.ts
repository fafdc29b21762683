import { basename, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { sha256 } from '../../../protocol/digest.ts';
import { exitDone, exitFailed, exitUsage } from '../../../protocol/exit-status.ts';
import { layoutOf } from '../../../protocol/layout.ts';
import { shapeProblem } from '../../../protocol/shape-problem.ts';
import { TrustError } from '../../../protocol/trust/trust-error.ts';
import { realClock } from '../../effects/clock.ts';
import { readFile, replaceFile } from '../../effects/durable.ts';
import { realFiles } from '../../effects/files.ts';
import { makeHttp } from '../../effects/http.ts';
import { HttpError } from '../../effects/http-error.ts';
import { refreshMetadata, searchTarget } from '../../release/refresh-metadata.ts';
import { ReleaseError } from '../../trust/release-error.ts';
import type { TrustPlace } from '../../trust/trust-files.ts';
import { installFirstRoot, loadTrust } from '../../trust/trust-store.ts';
import { tufTexts } from '../../words/texts.ts';

/**
 * The updater's TUF client as a command, for the public conformance suite: `init ROOT`, `refresh`, `download`. It is
 * the updater's own code, with another time: the later of trusted time and this machine's clock.
 */
const optionsShape = z.object({
  'metadata-dir': z.string(),
  'metadata-url': z.string().optional(),
  'target-name': z.array(z.string()).default([]),
  'target-base-url': z.string().optional(),
  'target-dir': z.string().optional(),
});
type Options = z.infer<typeof optionsShape>;
/** The suite's files are small; a larger one ends with an error. */
const targetBytesMax = 64 * 1024 * 1024;
const targetTotalMs = 60_000;
const rootBytesMax = 1024 * 1024;

const usage = tufTexts.usage;

/** The command line was wrong. */
class UsageError extends Error {
  readonly code = 'usage';
}

/** How a call ended: its exit status and what it writes on standard output and standard error. */
export interface Ended {
  readonly status: number;
  readonly output: string;
  readonly complaint: string;
}

const done: Ended = { status: exitDone, output: '', complaint: '' };
const failed = (message: string): Ended => ({ status: exitFailed, output: '', complaint: `${message}\n` });

function readWords(words: readonly string[]): { help: boolean; rest: unknown; positionals: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        'metadata-dir': { type: 'string' },
        'metadata-url': { type: 'string' },
        'target-name': { type: 'string', multiple: true },
        'target-base-url': { type: 'string' },
        'target-dir': { type: 'string' },
      },
    });
    return { help: values.help, rest: values, positionals };
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function readOptions(given: unknown): Options {
  const read = optionsShape.safeParse(given);
  if (!read.success) throw new UsageError(shapeProblem(read.error), { cause: read.error });
  return read.data;
}

function need(options: Options, name: 'metadata-url' | 'target-base-url' | 'target-dir'): string {
  const value = options[name];
  if (value === undefined) throw new UsageError(tufTexts.needed(name));
  return value.replace(/\/$/, '');
}

const http = makeHttp();

function placeOf(options: Options): TrustPlace {
  const directory = resolve(options['metadata-dir']);
  return { files: realFiles, layout: { ...layoutOf(directory), trust: directory }, clockS: () => realClock.wallS() };
}

function init(place: TrustPlace, rootFile: string | undefined): Ended {
  if (rootFile === undefined) throw new UsageError(tufTexts.needsRoot);
  const bytes = readFile(realFiles, resolve(rootFile), rootBytesMax);
  if (bytes === null) return failed(tufTexts.notThere(rootFile));
  realFiles.makeDirectory(place.layout.trust, 0o700);
  installFirstRoot(place, bytes, sha256(bytes));
  return done;
}

const refresh = (place: TrustPlace, options: Options) =>
  refreshMetadata(place, http, need(options, 'metadata-url'), '');

async function download(place: TrustPlace, options: Options): Promise<Ended> {
  const trusted = await refresh(place, options);
  for (const name of options['target-name']) {
    const target = await searchTarget(place, http, need(options, 'metadata-url'), trusted, name, '');
    const kept = join(need(options, 'target-dir'), encodeURIComponent(name));
    const known = realFiles.stat(kept) === null ? null : readFile(realFiles, kept, targetBytesMax);
    if (known !== null && (await isTarget(target, known))) continue;
    const isConsistent = loadTrust(place).root.metadata.signed.consistentSnapshot;
    const url = `${need(options, 'target-base-url')}/${targetUrl(name, target, isConsistent)}`;
    const answer = await http.fetch({ url, totalMs: targetTotalMs }, Math.min(target.length, targetBytesMax));
    if (answer.status !== 200) throw new ReleaseError('http-status', tufTexts.status(url, answer.status));
    if (!(await isTarget(target, answer.body))) {
      throw new TrustError('tuf-target-mismatch', tufTexts.notTheFile(name));
    }
    replaceFile(realFiles, kept, answer.body, 0o644);
  }
  return done;
}

type Target = Awaited<ReturnType<typeof searchTarget>>;

/** 5.7.2: with consistent snapshots, the file's name begins with one of its digests. */
function targetUrl(name: string, target: Target, isConsistent: boolean): string {
  const [digest] = Object.values(target.hashes);
  if (!isConsistent || digest === undefined) return name;
  return join(name, '..', `${digest}.${basename(name)}`);
}

/** 5.7.3: the length and every named digest must match. */
async function isTarget(target: Target, bytes: Buffer): Promise<boolean> {
  try {
    await target.verify(Readable.from([bytes]));
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

async function called(words: readonly string[]): Promise<Ended> {
  const { help, rest, positionals } = readWords(words);
  if (help) return { ...done, output: `${usage}\n` };
  const options = readOptions(rest);
  const place = placeOf(options);
  const [command, argument] = positionals;
  if (command === 'init') return init(place, argument);
  if (command === 'download') return download(place, options);
  if (command !== 'refresh') throw new UsageError(tufTexts.nameOneOf);
  await refresh(place, options);
  return done;
}

/** One call, with the words after the command's name. @throws errors that are not the repository's fault */
export async function runTuf(words: readonly string[]): Promise<Ended> {
  try {
    return await called(words);
  } catch (error) {
    if (error instanceof UsageError) {
      return { status: exitUsage, output: '', complaint: `${error.message}\n${usage}\n` };
    }
    const isExpected = error instanceof ReleaseError || error instanceof TrustError || error instanceof HttpError;
    if (!isExpected) throw error;
    return failed(error.message);
  }
}
