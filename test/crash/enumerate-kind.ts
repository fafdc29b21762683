import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../../updater/effects/files.ts';
import type { DiskState, Fate } from './disk.ts';
import { DiskFiles } from './disk-files.ts';
import { crashImages } from './images.ts';
import { type Before, beforeOf, brokenInvariants } from './invariants.ts';
import { type Kind, volatile } from './kinds.ts';
import type { HealthSocket } from './model-agent.ts';
import { ModelAppliance } from './model-appliance.ts';

export interface Found {
  readonly sentence: string;
  readonly step: string;
  readonly prefix: number;
  readonly fates: readonly Fate[];
  readonly seed: number;
  readonly cut: 'first' | 'second';
}

export interface KindReport {
  readonly name: string;
  readonly prefixes: number;
  /** Of the prefixes, those with too much undecided for every combination. */
  readonly sampled: number;
  readonly states: number;
  /** Of the states, those after a second cut. */
  readonly seconds: number;
  readonly violations: readonly Found[];
}

interface Moment {
  readonly disk: DiskState;
  readonly step: string;
}

export interface Options {
  readonly seed: number;
  readonly samples: number;
  /** For this kind: first cuts are made to the end, second ones while it lasts. */
  readonly budgetMs: number;
  /** One is enough to know. */
  readonly stopAtFirst?: boolean;
  /** Something wrong with the disk operations, to be caught. */
  readonly plant?: (files: Files) => Files;
}

type Recovered = { readonly moments: readonly Moment[]; readonly broken: readonly string[] };

/** Boots on an image and lets the production code come to rest; then everything that must hold is looked at. */
async function recover(
  kind: Kind,
  layout: Layout,
  socket: HealthSocket,
  disk: DiskState,
  boot: number,
  before: Before,
  plant: (files: Files) => Files,
): Promise<Recovered> {
  const moments: Moment[] = [];
  const files = new DiskFiles(disk, (now, step) => moments.push({ disk: now, step }));
  const planted = plant(files);
  try {
    const appliance = new ModelAppliance(planted, layout, boot, socket, kind.rollbackWindowMs);
    await appliance.comeToRest();
    moments.push({ disk: files.disk, step: 'rest' });
    return { moments, broken: brokenInvariants(planted, layout, before, appliance.agent.unreadable) };
  } catch (error) {
    return { moments, broken: [`I8, I10: ${error instanceof Error ? error.message : String(error)}`] };
  }
}

/**
 * Runs a kind to its end while every step that changes the disk is noted; cuts the power before each of them, with every
 * image that the model allows; lets each different one recover; and cuts the power in those recoveries too, spread over all
 * of them, as long as there is time.
 */
export async function enumerateKind(
  kind: Kind,
  layout: Layout,
  socket: HealthSocket,
  { seed, samples, budgetMs, stopAtFirst = false, plant = (files) => files }: Options,
): Promise<KindReport> {
  const startedMs = performance.now();
  const trace: Moment[] = [];
  const files = new DiskFiles(kind.disk, (disk, step) => trace.push({ disk, step }));
  const planted = plant(files);
  const appliance = new ModelAppliance(planted, layout, 2, socket, kind.rollbackWindowMs);
  const before = beforeOf(files, layout, kind.mayCommit);
  kind.act(appliance);
  const violations: Found[] = [];
  try {
    await appliance.comeToRest();
  } catch (error) {
    violations.push({
      sentence: `without a cut: ${String(error)}`,
      step: 'all',
      prefix: 0,
      fates: [],
      seed,
      cut: 'first',
    });
  }
  trace.push({ disk: files.disk, step: 'rest' });

  const states = new Set<string>();
  const recoveries: Moment[][] = [];
  let sampled = 0;
  const cutAt = async ({ disk, step }: Moment, prefix: number, cut: Found['cut']): Promise<void> => {
    const { images, complete } = crashImages(disk, { samples, seed: seed + prefix, volatile: [...volatile] });
    if (!complete && cut === 'first') sampled += 1;
    for (const image of images) {
      if (states.has(image.digest) || (stopAtFirst && violations.length > 0)) continue;
      states.add(image.digest);
      const { moments, broken } = await recover(
        kind,
        layout,
        socket,
        image.disk,
        cut === 'first' ? 3 : 4,
        before,
        plant,
      );
      for (const sentence of broken)
        violations.push({ sentence, step, prefix, fates: image.fates, seed: seed + prefix, cut });
      if (cut === 'first' && broken.length === 0) recoveries.push([...moments]);
    }
  };
  for (const [prefix, moment] of trace.entries()) await cutAt(moment, prefix, 'first');
  const firsts = states.size;
  // Spread over all recoveries: one step of each in turn, in an order that the seed decides.
  const jobs = recoveries.flat();
  const stride = coprime(jobs.length, seed);
  for (let n = 0; n < jobs.length && performance.now() - startedMs < budgetMs; n += 1) {
    const at = (n * stride) % jobs.length;
    const moment = jobs[at];
    if (moment !== undefined) await cutAt(moment, at, 'second');
  }
  return {
    name: kind.name,
    prefixes: trace.length,
    sampled,
    states: states.size,
    seconds: states.size - firsts,
    violations,
  };
}

/** A stride that visits every place once. */
function coprime(count: number, seed: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  for (let stride = Math.floor(count * 0.618) + seed; ; stride += 1) {
    if (stride > 0 && divisor(stride, Math.max(1, count)) === 1) return stride;
  }
}
