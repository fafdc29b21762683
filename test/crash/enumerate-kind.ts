import { hash } from 'node:crypto';
import type { Files } from '../../updater/effects/files.ts';
import { loadState } from '../../updater/record/state-store.ts';
import type { Claims } from './claims.ts';
import { type DiskState, settledDisk } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { type Image, imagesOf, seededNumbers } from './images.ts';
import { type Before, beforeOf, brokenAsFound, brokenInvariants, endsAsFound } from './invariants.ts';
import type { Kind } from './kinds.ts';
import { ModelAppliance } from './model-appliance.ts';
import { volatile } from './scenes.ts';
import { type Cut, tokenOf } from './token.ts';
import { TreeDigests } from './tree-digest.ts';
import { whatCounts } from './what-counts.ts';

export interface Found {
  readonly sentence: string;
  /** What was about to be done when the power went, for each cut. */
  readonly steps: readonly string[];
  /** What replays it. */
  readonly token: string;
}

export interface KindReport {
  readonly name: string;
  /** Moments at which the power was cut: all that change the disk. */
  readonly prefixes: number;
  /** Of the prefixes, those with too much undecided for every combination. */
  readonly sampled: number;
  readonly states: number;
  /** Of the states, those after a second cut. */
  readonly seconds: number;
  /** Moments of all recoveries. */
  readonly recoveryMoments: number;
  /** Of those moments, at which the power was cut once more, with every disk that decides something new. */
  readonly recoveryCuts: number;
  /** Of those moments, at which also every disk was tried that is new only in what people are told. */
  readonly wholeCuts: number;
  readonly violations: readonly Found[];
}

export interface Moment {
  readonly disk: DiskState;
  readonly step: string;
}

export interface Options {
  readonly seed: number;
  readonly samples: number;
  /** For this kind: first cuts are made to the end, second ones while it lasts. */
  readonly budgetMs: number;
  readonly claims: Claims;
  /** One is enough to know. */
  readonly stopAtFirst?: boolean;
  /** Something wrong with the disk operations, to be caught. */
  readonly plant?: (files: Files) => Files;
}

const boots = { before: 2, afterFirst: 3, afterSecond: 4 } as const;

export interface Run {
  readonly moments: readonly Moment[];
  readonly broken: readonly string[];
  readonly lines: readonly string[];
}

/** What is done without a cut, and every moment of it that changes the disk. */
export async function traceOf(kind: Kind, plant: (files: Files) => Files): Promise<Run & { before: Before }> {
  const moments: Moment[] = [];
  const files = new DiskFiles(kind.disk, (disk, step) => moments.push({ disk, step }), volatile);
  const appliance = new ModelAppliance(plant(files), boots.before, kind.around);
  const before = beforeOf(files, kind);
  const broken: string[] = [];
  kind.act(appliance);
  try {
    const { app, updater, quarantine } = await appliance.comeToRest();
    const { ends } = kind;
    if (updater.committed.version !== ends.updater)
      broken.push(`without a cut: updater ${updater.committed.version} is committed`);
    if (app.committed.version !== ends.committed) broken.push(`without a cut: ${app.committed.version} is committed`);
    if (ends.quarantined !== null && !quarantine.some(({ version }) => version === ends.quarantined))
      broken.push(`without a cut: ${ends.quarantined} is not in quarantine`);
    broken.push(...brokenInvariants(files, kind, before, appliance.agent).map((one) => `without a cut: ${one}`));
  } catch (error) {
    broken.push(`without a cut: ${String(error)}`);
  }
  moments.push({ disk: files.disk, step: 'rest' });
  return { moments, broken, before, lines: appliance.lines };
}

/** Boots on an image and lets the production code come to rest; then everything that must hold is looked at. */
export async function recover(
  kind: Kind,
  disk: DiskState,
  boot: number,
  before: Before,
  plant: (files: Files) => Files,
): Promise<Run> {
  const moments: Moment[] = [];
  const files = new DiskFiles(disk, (now, step) => moments.push({ disk: now, step }), volatile);
  const planted = plant(files);
  const lines: string[] = [];
  const found = brokenAsFound(planted, kind);
  const mustStay = boot > boots.before ? endsAsFound(planted, kind) : null;
  try {
    const appliance = new ModelAppliance(planted, boot, kind.around);
    appliance.onLine = (line) => lines.push(line);
    await appliance.comeToRest();
    moments.push({ disk: files.disk, step: 'rest' });
    const { version } = loadState(planted, kind.around.layout).app.committed;
    if (mustStay !== null && version !== mustStay)
      found.push(`I9: ${mustStay} was committed, and after the cut ${version} is`);
    return { moments, lines, broken: [...found, ...brokenInvariants(planted, kind, before, appliance.agent)] };
  } catch (error) {
    return { moments, lines, broken: [`I8, I10: ${error instanceof Error ? error.message : String(error)}`] };
  }
}

/** All that may be found after a cut at this moment, and not after one before: the power goes, or every process is killed. */
function imagesAt(moments: readonly Moment[], at: number, samples: number, seed: number) {
  const moment = moments[at];
  if (moment === undefined) throw new RangeError(`there is no moment ${at}`);
  const since = moments[at - 1]?.disk;
  const { disk, step } = moment;
  const options = { samples, seed: seed + at, volatile, ...(since === undefined ? {} : { since }) };
  const { images, complete } = imagesOf(disk, options);
  const killed: Image = { disk: settledDisk(disk.seen, disk.nextInode), fates: 'killed' };
  // Nothing is lost with the processes: what they only synced was there before.
  return { step, complete, images: since?.seen === disk.seen ? images : [...images, killed] };
}

/** Who was killed starts again in the same boot; a power cut is a new one. */
export function bootAfter(cuts: readonly Cut[]): number {
  return cuts.reduce<number>((boot, { fates }) => (fates === 'killed' ? boot : boot + 1), boots.before);
}

/** How two disks are told from each other: by everything, or by what decides something. */
type Difference = 'everything' | 'decisive';

/** A first recovery, and every moment of it. */
interface Recovery {
  readonly cuts: readonly Cut[];
  readonly steps: readonly string[];
  /** None where there is no time for second cuts: they would only take memory. */
  readonly moments: readonly Moment[];
}

interface Tally {
  readonly violations: Found[];
  readonly recoveries: Recovery[];
  sampled: number;
  states: number;
  recoveryMoments: number;
}

/** One kind at work: its trace, what was found so far, and cuts. */
class Enumeration {
  readonly tally: Tally;
  readonly trace: readonly Moment[];
  readonly #kind: Kind;
  readonly #before: Before;
  readonly #options: Options;
  readonly #digests = new TreeDigests();
  readonly #names: Readonly<Record<Difference, readonly [killed: bigint, afterBoot: bigint]>>;

  /** Whether there is no time for second cuts. */
  readonly #isOver: () => boolean;

  constructor(
    kind: Kind,
    options: Options,
    isOver: () => boolean,
    { moments, before, broken }: Run & { before: Before },
  ) {
    this.#kind = kind;
    this.#options = options;
    this.#isOver = isOver;
    this.#before = before;
    this.trace = moments;
    const violations = broken.map((sentence) => ({ sentence, steps: [], token: tokenOf(kind.name, []) }));
    this.tally = { violations, recoveries: [], sampled: 0, states: 0, recoveryMoments: 0 };
    const name = (text: string) => hash('sha256', `${kind.name} ${text}`, 'buffer').readBigUInt64LE(0);
    this.#names = {
      everything: [name('in the same boot'), name('after a boot')],
      decisive: [name('in the same boot, decisive'), name('after a boot, decisive')],
    };
  }

  get isEnough(): boolean {
    return this.#options.stopAtFirst === true && this.tally.violations.length > 0;
  }

  /** @returns false when a disk that differs from this one in no such way was looked at */
  #claim({ disk, fates }: Image, difference: Difference): boolean {
    const [killed, afterBoot] = this.#names[difference];
    const view = whatCounts[difference][fates === 'killed' ? 'killed' : 'afterBoot'];
    return this.#options.claims.claim(this.#digests.of(disk.seen, view) ^ (fates === 'killed' ? killed : afterBoot));
  }

  /** Cuts at one moment of the trace, or of a recovery, and lets every disk that is new recover. */
  async cutAt(moments: readonly Moment[], at: number, difference: Difference, earlier?: Recovery): Promise<void> {
    const { samples, seed, plant = (files) => files } = this.#options;
    const { images, complete, step } = imagesAt(moments, at, samples, seed);
    if (!complete && earlier === undefined) this.tally.sampled += 1;
    for (const image of images) {
      if (this.isEnough) return;
      if (!this.#claim(image, difference)) continue;
      const other = difference === 'everything' ? 'decisive' : 'everything';
      if (!this.#claim(image, other) && other === 'everything') continue;
      this.tally.states += 1;
      const cuts = [...(earlier?.cuts ?? []), { prefix: at, fates: image.fates }];
      const steps = [...(earlier?.steps ?? []), step];
      const run = await recover(this.#kind, image.disk, bootAfter(cuts), this.#before, plant);
      for (const sentence of run.broken)
        this.tally.violations.push({ sentence, steps, token: tokenOf(this.#kind.name, cuts) });
      if (earlier !== undefined || run.broken.length > 0) continue;
      this.tally.recoveryMoments += run.moments.length;
      this.tally.recoveries.push({ cuts, steps, moments: this.#isOver() ? [] : run.moments });
    }
  }

  /** Second cuts, spread over all moments of all recoveries. @returns at how many of them there was time */
  async cutAgain(difference: Difference): Promise<number> {
    const moments = this.tally.recoveries.flatMap((recovery) => recovery.moments.map((_, at) => ({ recovery, at })));
    let made = 0;
    for (const { recovery, at } of shuffled(moments, this.#options.seed)) {
      if (this.#isOver() || this.isEnough) break;
      await this.cutAt(recovery.moments, at, difference, recovery);
      made += 1;
    }
    return made;
  }
}

/**
 * Runs a kind to its end while every step that changes the disk is noted; cuts the power before each of them, with every
 * image that the model allows; lets each different one recover; and cuts the power in those recoveries too, at each of their
 * moments, as long as there is time: first every disk that decides something new, then those that are new only in what
 * people are told. Several threads may do so with the same claims: each state is looked at once.
 */
export async function enumerateKind(kind: Kind, options: Options): Promise<KindReport> {
  const startedMs = performance.now();
  const isOver = () => performance.now() - startedMs >= options.budgetMs;
  const enumeration = new Enumeration(kind, options, isOver, await traceOf(kind, options.plant ?? ((files) => files)));
  const { trace, tally } = enumeration;
  for (const at of trace.keys()) await enumeration.cutAt(trace, at, 'everything');
  const firsts = tally.states;
  const recoveryCuts = await enumeration.cutAgain('decisive');
  const wholeCuts = await enumeration.cutAgain('everything');
  return {
    name: kind.name,
    prefixes: trace.length,
    sampled: tally.sampled,
    states: tally.states,
    seconds: tally.states - firsts,
    recoveryMoments: tally.recoveryMoments,
    recoveryCuts,
    wholeCuts,
    violations: tally.violations,
  };
}

/** The same things in an order that the seed decides. */
function shuffled<T>(things: readonly T[], seed: number): T[] {
  const number = seededNumbers(seed);
  return things
    .map((thing) => ({ thing, at: number() }))
    .sort((a, b) => a.at - b.at)
    .map(({ thing }) => thing);
}
