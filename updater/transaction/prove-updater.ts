import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { committedName } from '../../protocol/seal.ts';
import type { StateBody, Transaction } from '../../protocol/state-record.ts';
import { cut, lastWord } from '../../protocol/text.ts';
import type { Appliance, RunMemory } from '../appliance/appliance.ts';
import { keepArmedState } from '../appliance/armed-state.ts';
import { noteRefused, noteTrouble } from '../choice/refused.ts';
import { prepareFile, readFile, writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { ownRuntime, type ProgramEnd } from '../effects/programs.ts';
import { next } from '../machine/table.ts';
import { transactionOf } from '../machine/transaction.ts';
import type { Found } from '../outcome/outcome.ts';
import { knownRecord, readRecord } from '../record/record-store.ts';
import { workDirectory } from '../release/chunk-store.ts';
import { transactionTexts } from '../words/texts.ts';
import type { AskServer } from './ask-server.ts';
import { broughtPath, networkCodes } from './brought.ts';
import { markBytes } from './commit.ts';
import { type Probe, probeShape } from './probe.ts';
import { heldByServer, refused, sealAndProve, sealedOrWhyNot } from './sealed.ts';

/** The last step before a new updater goes on trial: the running updater tries it as a child and judges its exit. */

const probeTimeoutMs = 60_000;
/** Megabytes of heap: a run needs a tenth of this, and an appliance may have little memory. */
const probeHeapMb = 256;
const copyBytesMax = 16 * 1024 * 1024;
/** The error of a program that died stands in the middle of its output. */
const complaintMax = 300;

type ProbeVerdict =
  | { readonly verdict: 'sound' }
  | { readonly verdict: 'failed'; readonly code: string | null; readonly text: string };

/** The agent continues to run meanwhile: replacing an updater interrupts nothing. */
export async function proveUpdater(
  appliance: Appliance,
  state: StateBody,
  memory: RunMemory,
  askServer: AskServer,
): Promise<Found> {
  const { files, layout } = appliance;
  const ended = sealedOrWhyNot(appliance, state, () => sealAndProve(appliance, state, memory));
  if (ended !== null) return ended;
  // A source that the new updater cannot reach counts against it only if this one can reach the server.
  memory.forced = true;
  await askServer(appliance, state, { fresh: false });
  const transaction = transactionOf(state);
  const held = transaction.waits ? heldByServer(appliance, state) : null;
  if (held !== null) return held;
  const found = await runProbe(appliance, transaction);
  const isReached = memory.serverReached === true;
  if (found.verdict === 'failed') {
    if (found.code !== null && networkCodes.has(found.code) && !isReached) {
      noteTrouble(appliance, transaction.tx, found.text);
      return { kind: 'nothing' };
    }
    const text = transactionTexts.updaterNotInstalled(transaction.version, found.text);
    noteRefused(appliance, transaction.manifest, text);
    return refused('probe-failed', text);
  }
  const event: Found = { kind: 'probed', baselineServer: isReached ? 'ok' : 'unknown' };
  const { slot } = transaction;
  if (slot !== null) prepareFile(files, join(layout.slot('updater', slot), committedName), markBytes, 0o644);
  keepArmedState(appliance, next(state, event));
  return event;
}

async function runProbe(appliance: Appliance, transaction: Transaction): Promise<ProbeVerdict> {
  const { files, layout } = appliance;
  const { tx, slot, source } = transaction;
  if (slot === null) throw new RangeError('no slot that could be probed');
  const scratch = layoutOf(join(workDirectory(layout, tx), 'probe'));
  files.removeTree(scratch.root);
  try {
    fillScratch(files, layout, scratch);
    const home = layout.slot('updater', slot);
    const brought = source.kind === 'file' ? [broughtPath(appliance, transaction)] : [];
    const readable = [home, scratch.root, ...brought].map((path) => `--allow-fs-read=${path}`);
    const permissions = ['--permission', '--allow-net', ...readable, `--allow-fs-write=${scratch.root}`];
    const quiet = '--disable-warning=ExperimentalWarning';
    const words = [...permissions, quiet, `--max-old-space-size=${probeHeapMb}`, join(home, 'main.js'), 'probe'];
    const end = await appliance.run(ownRuntime, [...words, ...brought, '--root', scratch.root], probeTimeoutMs);
    return judgeProbe(appliance, transaction, scratch, end);
  } finally {
    files.removeTree(scratch.root);
  }
}

/** The parts of an appliance that a look at a release needs; no key and no secret. */
function fillScratch(files: Files, layout: Layout, scratch: Layout): void {
  for (const path of [scratch.root, scratch.updater, scratch.trust, scratch.work, scratch.run])
    files.makeDirectory(path, 0o700);
  const single = [
    [layout.stateRecords[0], scratch.stateRecords[0]],
    [layout.stateRecords[1], scratch.stateRecords[1]],
    [layout.settings, scratch.settings],
    [layout.sources, scratch.sources],
    [layout.identity, scratch.identity],
  ] as const;
  for (const [from, to] of single) copyFile(files, from, to);
  copyTree(files, layout.trust, scratch.trust);
}

function copyFile(files: Files, from: string, to: string): void {
  const bytes = readFile(files, from, copyBytesMax);
  if (bytes !== null) writeNewFile(files, to, bytes, 0o600);
}

function copyTree(files: Files, from: string, to: string): void {
  files.makeDirectory(to, 0o700);
  for (const name of files.list(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    const kind = files.stat(source)?.kind;
    if (kind === 'file') copyFile(files, source, target);
    if (kind === 'directory') copyTree(files, source, target);
  }
}

function said({ stdout }: ProgramEnd): Probe | null {
  try {
    const parsed = probeShape.safeParse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Its own word is not enough: the record that it had to write is read here. */
function judgeProbe(
  { files, layout }: Appliance,
  { version }: Transaction,
  scratch: Layout,
  end: ProgramEnd,
): ProbeVerdict {
  const failed = (text: string, code: string | null = null): ProbeVerdict => ({ verdict: 'failed', code, text });
  const complaint = cut(lastWord(end.stderr) || end.complaint, complaintMax);
  if (end.code === null) return failed(transactionTexts.probeTimedOut(probeTimeoutMs / 1000, complaint));
  const probe = said(end);
  if (probe === null) return failed(transactionTexts.probeSaidNothing(end.code, complaint));
  if (probe.failed !== null)
    return failed(transactionTexts.probeFound(probe.failed.message, probe.failed.code), probe.failed.code);
  if (end.code !== 0) return failed(transactionTexts.probeEnded(end.code, complaint));
  if (probe.version !== version) return failed(transactionTexts.probeVersion(probe.version));
  const [before, after] = [readRecord(files, layout.stateRecords), knownRecord(files, scratch.stateRecords)];
  if (before === null || after === null || after.seq !== before.seq + 1)
    return failed(transactionTexts.probeWroteNothing);
  if (after.schema > before.schema) return failed(transactionTexts.probeSchema(after.schema));
  if (!isDeepStrictEqual(after.body, before.body)) return failed(transactionTexts.probeChangedRecord);
  return { verdict: 'sound' };
}
