import { createHash, randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { Layout } from '../../protocol/layout.ts';
import { isOutOfSpace, readFile, replaceJson, whereThereIsRoom, writeNewFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { launchable, type QuickSeal, quickly, schemaMaxOf, sealIn } from '../record/quick-look.ts';
import { knownRecord, rewriteRecord } from '../record/record-store.ts';
import { launchTexts } from '../words/texts.ts';
import { readUpdaterEnds, updaterFailuresMax } from './end.ts';
import { chooseSlot, type LaunchChoice, type LaunchCount, readPrefix } from './table.ts';

/**
 * `launch count`: chooses, counts and syncs, then points a root-owned link on tmpfs at the choice. Imports only Node.
 */

/** Starts kept per transaction; more than tries and boots together can be. */
const startsMax = 64;
/** As in protocol/state-record.ts, which launch does not import. */
const launchSchema = 1;

export interface LaunchEffects {
  readonly files: Files;
  readonly bootId: () => string;
  /** Milliseconds of the monotonic clock of this boot. */
  readonly monoMs: () => number;
}

export type LaunchOutcome =
  | { readonly outcome: 'chosen'; readonly slot: string; readonly version: string }
  | { readonly outcome: 'nothing'; readonly why: string };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readCount(body: unknown, component: string): LaunchCount | null {
  const count = isObject(body) ? body[component] : null;
  if (
    !isObject(count) ||
    typeof count.tx !== 'number' ||
    typeof count.slot !== 'string' ||
    !Array.isArray(count.starts)
  ) {
    return null;
  }
  const starts = count.starts.flatMap((start: unknown) =>
    isObject(start) && typeof start.boot === 'string' && typeof start.n === 'number'
      ? [{ ...start, boot: start.boot, n: start.n }]
      : [],
  );
  return { tx: count.tx, slot: count.slot, starts };
}

function countThisStart(effects: LaunchEffects, layout: Layout, component: string, tx: number, slot: string): void {
  const { files } = effects;
  const record = knownRecord(files, layout.launchRecords);
  const body = isObject(record?.body) ? record.body : {};
  const before = readCount(body, component);
  const starts = before?.tx === tx ? before.starts : [];
  const n = (starts.at(-1)?.n ?? 0) + 1;
  // Fields that a later launch wrote are copied.
  const known = before?.tx === tx && isObject(body[component]) ? body[component] : {};
  const counted = { ...known, tx, slot, starts: [...starts, { boot: effects.bootId(), n }].slice(-startsMax) };
  // Synced before anything of the new version runs: a try counted afterwards could be lost with the power.
  rewriteRecord(files, layout.launchRecords, layout.updater, Math.max(launchSchema, record?.schema ?? 0), {
    app: null,
    updater: null,
    ...body,
    [component]: counted,
  });
}

/**
 * Points run/launched/<component> at a fresh directory with the links of this start. Another launch may do the same at
 * the same time (the page starts from the updater's slot): each uses its own names, and removes only what the link
 * pointed to before.
 */
function pointLink(
  files: Files,
  layout: Layout,
  component: string,
  start: { directory: string; runtime: string | null; json: Record<string, unknown> },
): void {
  const link = layout.launchedComponent(component);
  const directory = dirname(link);
  files.makeDirectory(directory, 0o755);
  const name = `${basename(link)}.${randomBytes(6).toString('hex')}`;
  const fresh = join(directory, name);
  try {
    files.makeDirectory(fresh, 0o755);
    files.link(start.directory, join(fresh, 'slot'));
    if (start.runtime !== null) files.link(start.runtime, join(fresh, 'runtime'));
    writeNewFile(files, join(fresh, 'start.json'), Buffer.from(JSON.stringify(start.json)), 0o644);
    files.link(name, `${fresh}.link`);
  } catch (error) {
    // The agent can fill run/. The updater, which stops that, must still start: as it did before.
    if (!isOutOfSpace(error) || component !== 'updater' || !leadsTo(files, link, start.directory)) throw error;
    for (const half of [fresh, `${fresh}.link`]) files.removeTree(half);
    return;
  }
  const before = files.stat(link)?.kind === 'link' ? files.readLink(link) : name;
  files.rename(`${fresh}.link`, link);
  if (before !== name && before !== files.readLink(link)) files.removeTree(join(directory, basename(before)));
}

/** Does the link already lead to this slot? */
function leadsTo(files: Files, link: string, directory: string): boolean {
  if (files.stat(link)?.kind !== 'link') return false;
  const slot = join(dirname(link), basename(files.readLink(link)), 'slot');
  return files.stat(slot)?.kind === 'link' && files.readLink(slot) === directory;
}

type Decision = LaunchChoice & {
  readonly tx: number;
  /** The slot of the agent whose schemas count: the committed one, even in a trial; null: unknown. */
  readonly committedApp: string | null;
};

function decide(effects: LaunchEffects, layout: Layout, component: 'app' | 'updater'): Decision {
  const record = knownRecord(effects.files, layout.stateRecords);
  const prefix = record === null ? null : readPrefix(record.body);
  // Without a record, only factory is known (I1, S6).
  if (prefix === null) return { start: 'factory', tx: 0, committedApp: null };
  const launch = knownRecord(effects.files, layout.launchRecords);
  const choice = chooseSlot(component, prefix, readCount(launch?.body, component), effects.bootId());
  const isGivenUp =
    component === 'updater' && choice.start === 'slot' && hasFailedAgainAndAgain(effects, layout, choice.slot);
  return {
    ...(isGivenUp ? { start: 'factory' } : choice),
    tx: prefix.trial?.tx ?? 0,
    committedApp: prefix.committed.app,
  };
}

/** A committed updater that only ends badly would block its own replacement: factory replaces it (I10). */
function hasFailedAgainAndAgain({ files }: LaunchEffects, layout: Layout, slot: string): boolean {
  const ends = readUpdaterEnds(files, layout);
  return ends !== null && ends.slot === slot && ends.failures >= updaterFailuresMax;
}

/** `launch count`: {@link launch} for a start that counts. */
export function launchCount(effects: LaunchEffects, layout: Layout, component: 'app' | 'updater'): LaunchOutcome {
  return launch(effects, layout, component, 'count');
}

/**
 * Chooses what to start now. `nothing` means that only the updater starts it in this state.
 * @param how `point`: the start proves nothing about the component (the field page, from the updater's slot), so no try
 * is counted
 */
export function launch(
  effects: LaunchEffects,
  layout: Layout,
  component: 'app' | 'updater',
  how: 'count' | 'point',
): LaunchOutcome {
  const { files } = effects;
  const choice = decide(effects, layout, component);
  if (choice.start === 'nothing') return { outcome: 'nothing', why: choice.why };
  let slot = choice.start === 'slot' ? choice.slot : 'factory';
  let own = choice.start === 'factory';
  let seal = launchable(files, layout, component, slot);
  const isCounted = choice.start === 'slot' && choice.counted && how === 'count';
  if (component === 'updater' && how === 'count') noteUpdaterStart(effects, layout, isCounted);
  if (isCounted) countThisStart(effects, layout, component, choice.tx, slot);
  else if (seal === null && slot !== 'factory' && !(choice.start === 'slot' && choice.counted)) {
    // The committed slot does not look whole. Factory can always be launched, on its own state (I1, I3).
    slot = 'factory';
    own = true;
    seal = launchable(files, layout, component, slot);
  }
  if (seal === null) return { outcome: 'nothing', why: launchTexts.slotNotWhole(slot, component) };
  const nonce = randomBytes(32).toString('hex');
  pointLink(files, layout, component, {
    directory: layout.slot(component, slot),
    runtime: seal.runtime === null ? null : layout.runtime(seal.runtime.digest),
    json: {
      nonce,
      slot,
      manifest: seal.manifest,
      version: seal.version,
      stateDir: own ? layout.agentFactory : layout.agent,
      entry: seal.entry,
      runtimeEntry: seal.runtime?.entry ?? null,
      ...(component === 'app'
        ? aboutState(effects, layout, { slot, seal }, own ? 'factory' : choice.committedApp)
        : {}),
      ...(component === 'app' && isCounted ? { trialTx: choice.tx } : {}),
    },
  });
  return { outcome: 'chosen', slot, version: seal.version };
}

/**
 * @param started its seal has already been read, and it is usually the writer's
 * @param writer the slot whose agent writes the state; the factory agent has a state of its own, which no other version
 * may have written
 */
function aboutState(
  { files }: LaunchEffects,
  layout: Layout,
  started: { readonly slot: string; readonly seal: QuickSeal },
  writer: string | null,
): { stateSchemaMax?: number } {
  if (writer === null) return {};
  const other = () => schemaMaxOf(quickly(() => sealIn(files, layout.slot('app', writer))) ?? {});
  const max = writer === started.slot ? started.seal.schemaMax : other();
  return max === undefined ? {} : { stateSchemaMax: max };
}

/** Only an updater on trial has a time by which its run must have ended: see {@link isOverdue}. */
function noteUpdaterStart({ files, monoMs, bootId }: LaunchEffects, layout: Layout, isOnTrial: boolean): void {
  if (!isOnTrial) {
    files.unlink(layout.updaterStart);
    return;
  }
  // The agent can fill run/: the try must still be counted, so that the previous updater comes back.
  const start = { boot: bootId(), atMs: monoMs() };
  whereThereIsRoom(() => replaceJson(files, layout.updaterStart, start, 0o600));
}

const startBytesMax = 1_000;

/**
 * `launch overdue updater`: does the updater on trial hang? Nothing in its run takes long: it judges and fetches
 * nothing.
 */
export function isOverdue({ files, bootId, monoMs }: LaunchEffects, layout: Layout, afterMs: number): boolean {
  try {
    const bytes = readFile(files, layout.updaterStart, startBytesMax);
    const start: unknown = bytes === null ? null : JSON.parse(bytes.toString('utf8'));
    return (
      isObject(start) && start.boot === bootId() && typeof start.atMs === 'number' && monoMs() - start.atMs >= afterMs
    );
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return false;
    throw error;
  }
}

/** The agent's check-in names its start by the digest of the nonce, so that the nonce itself never travels. */
export function startDigest(nonce: string): string {
  return createHash('sha256').update(nonce).digest('hex');
}
