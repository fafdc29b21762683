import { sha256 } from '../../protocol/digest.ts';
import type { Files } from '../../updater/effects/files.ts';
import { loadState } from '../../updater/state-store.ts';
import type { Claims } from './claims.ts';
import { type DiskState, settledDisk, treeDigest } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { type CrashImage, crashImages, seededNumbers } from './images.ts';
import { type Before, beforeOf, brokenAsFound, brokenInvariants, endsAsFound } from './invariants.ts';
import type { Kind } from './kinds.ts';
import { ModelAppliance } from './model-appliance.ts';
import { volatile } from './scenes.ts';
import { type Cut, type Fates, tokenOf } from './token.ts';

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
  /** Moments of all recoveries, and those of them at which the power was cut once more. */
  readonly recoveryMoments: number;
  readonly recoveryCuts: number;
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
  const files = new DiskFiles(kind.disk, (disk, step) => moments.push({ disk, step }));
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
  const files = new DiskFiles(disk, (now, step) => moments.push({ disk: now, step }));
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

/** Names and nonces of starts are random. */
const randomPath = '/hf/run/launched';

/** All that may be found after a cut at this moment: the power goes, or every process is killed and nothing is lost. */
function imagesAt({ disk }: Moment, samples: number, seed: number): { images: CrashImage[]; complete: boolean } {
  const { images, complete } = crashImages(disk, { samples, seed, volatile: [...volatile] });
  const killed = settledDisk(disk.seen, disk.nextInode);
  return {
    images: [...images, { disk: killed, fates: 'killed', digest: treeDigest(killed.seen, randomPath) }],
    complete,
  };
}

/** Who was killed starts again in the same boot; a power cut is a new one. */
export function bootAfter(cuts: readonly Cut[]): number {
  return cuts.reduce<number>((boot, { fates }) => (fates === 'killed' ? boot : boot + 1), boots.before);
}

/** Each recovery is run again in each round, and cut at one moment of so many: so all are looked at soon, and none is kept. */
const rounds = 16;

interface Recovery {
  readonly disk: DiskState;
  readonly cuts: readonly Cut[];
  readonly steps: readonly string[];
  readonly moments: number;
}

/**
 * Runs a kind to its end while every step that changes the disk is noted; cuts the power before each of them, with every
 * image that the model allows; lets each different one recover; and cuts the power in those recoveries too, spread over all
 * of them, as long as there is time. Several threads may do so with the same claims: each state is looked at once.
 */
export async function enumerateKind(kind: Kind, options: Options): Promise<KindReport> {
  const { seed, samples, budgetMs, claims, stopAtFirst = false, plant = (files) => files } = options;
  const startedMs = performance.now();
  const { moments: trace, before, broken: brokenAtOnce } = await traceOf(kind, plant);
  const violations: Found[] = brokenAtOnce.map((sentence) => ({ sentence, steps: [], token: tokenOf(kind.name, []) }));
  const recoveries: Recovery[] = [];
  let sampled = 0;
  let states = 0;
  const cutAt = async (moment: Moment, prefix: number, earlier: readonly Cut[], stepsBefore: readonly string[]) => {
    const { images, complete } = imagesAt(moment, samples, seed + prefix);
    if (!complete && earlier.length === 0) sampled += 1;
    for (const { disk, fates, digest } of images) {
      if (stopAtFirst && violations.length > 0) return;
      if (!claims.claim(stateKey(kind, digest, fates))) continue;
      states += 1;
      const cuts = [...earlier, { prefix, fates }];
      const steps = [...stepsBefore, moment.step];
      const { moments, broken } = await recover(kind, disk, bootAfter(cuts), before, plant);
      for (const sentence of broken) violations.push({ sentence, steps, token: tokenOf(kind.name, cuts) });
      if (earlier.length === 0 && broken.length === 0) recoveries.push({ disk, cuts, steps, moments: moments.length });
    }
  };
  for (const [prefix, moment] of trace.entries()) await cutAt(moment, prefix, [], []);
  const firsts = states;
  let recoveryCuts = 0;
  const isOver = () => performance.now() - startedMs >= budgetMs || (stopAtFirst && violations.length > 0);
  for (let round = 0; round < rounds && !isOver(); round += 1) {
    for (const [place, { disk, cuts, steps }] of shuffled(recoveries, seed + round).entries()) {
      if (isOver()) break;
      const { moments } = await recover(kind, disk, bootAfter(cuts), before, plant);
      for (const [prefix, moment] of moments.entries()) {
        if (prefix % rounds !== (round + place) % rounds) continue;
        await cutAt(moment, prefix, cuts, steps);
        recoveryCuts += 1;
      }
    }
  }
  return {
    name: kind.name,
    prefixes: trace.length,
    sampled,
    states,
    seconds: states - firsts,
    recoveryMoments: recoveries.reduce((sum, { moments }) => sum + moments, 0),
    recoveryCuts,
    violations,
  };
}

function stateKey({ name }: Kind, digest: string, fates: Fates): string {
  return sha256(`${name} ${fates === 'killed' ? 'in the same boot' : 'after a boot'} ${digest}`);
}

/** The same things in an order that the seed decides. */
function shuffled<T>(things: readonly T[], seed: number): T[] {
  const number = seededNumbers(seed);
  return things
    .map((thing) => ({ thing, at: number() }))
    .sort((a, b) => a.at - b.at)
    .map(({ thing }) => thing);
}
