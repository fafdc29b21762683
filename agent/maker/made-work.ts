import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Budget, type Duty, type RunOutcome, usualBudget } from '../duties/definition.ts';
import type { AgentFiles, Clock, Log } from '../effects/effects.ts';
import { AgentError } from '../errors.ts';
import { agentTexts, dutyTexts } from '../texts.ts';
import type { MadeKind } from '../threads/made.ts';
import { oneRun, type ThreadParts, threadDuty } from '../threads/thread-run.ts';
import { answersFor, type Stores } from './answers.ts';
import { type Catalogue, catalogueShape } from './catalogue.ts';
import { Findings } from './findings.ts';
import { madeSettings } from './made-settings.ts';
import type { DescribedDuty } from './work-shapes.ts';

const secretBytesMax = 16 * 1024;
const catalogueBytesMax = 4 * 1024 * 1024;

/** Where a release has its maker's part; all of its files but the assets are there, or none is. */
interface MakerPart {
  readonly catalogue: string;
  readonly module: string;
  /** The program of a thread. */
  readonly thread: string;
  readonly assets: string;
}

function makerPartIn(directory: string): MakerPart {
  return {
    catalogue: join(directory, 'maker.json'),
    module: join(directory, 'maker.js'),
    thread: join(directory, 'thread.js'),
    assets: join(directory, 'assets'),
  };
}

/** What a maker put into the release. */
export interface MadeWork {
  /** The runs of its checks too. */
  readonly duties: readonly Duty[];
  readonly findings: Findings;
  /** By name. */
  readonly orders: ReadonlyMap<string, (args: Readonly<Record<string, string>>) => Promise<RunOutcome>>;
  readonly settingsProblems: readonly string[];
}

interface Around {
  readonly files: AgentFiles;
  readonly clock: Clock;
  readonly log: Log;
  readonly stores: Stores;
  /** Where the site keeps secrets. */
  readonly secretsDirectory: string;
  /** What is replaced wherever it would be logged. */
  readonly hideInLog: (text: string) => void;
  /** `maker` of agent.json. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Aborts when the agent stops. */
  readonly signal: AbortSignal;
}

/**
 * @param directory the program's
 * @throws AgentError `release-invalid` when the description cannot be read: such a release never passes its trial
 */
export async function madeWork(directory: string, around: Around): Promise<MadeWork> {
  const part = makerPartIn(directory);
  const { duties, checks, orders, settings, secrets } = await catalogueIn(part, around.files);
  const { values, secretFiles, problems } = madeSettings(settings, secrets, around.settings);
  const assets = (await around.files.mark(part.assets)) === null ? null : part.assets;
  const partsOf = (kind: MadeKind, name: string, owner = name): ThreadParts => {
    const { begin, answer } = answersFor(around.stores, owner, (secret) => secretOf(around, secretFiles.get(secret)));
    return {
      entry: pathToFileURL(part.thread),
      start: { module: pathToFileURL(part.module).href, kind, name, settings: values, assets },
      log: (level, line) => around.log[level]({ [kind]: name, line }, dutyTexts.says),
      begin,
      answer,
    };
  };
  const findings = new Findings(checks, () => around.clock.monoMs());
  return {
    duties: [
      ...duties.map((duty) => threadDuty(scheduled(duty), partsOf('duty', duty.name, duty.sees))),
      ...checks.map((check) => {
        const parts = partsOf('check', check.name, check.sees);
        const duty = findings.duty(check, (signal) => work.run(signal));
        const work = threadDuty(duty, parts);
        return duty;
      }),
    ],
    findings,
    orders: new Map(
      orders.map(({ name, timeoutMs, sees }) => [
        name,
        (args) => {
          const parts = partsOf('order', name, sees);
          return oneRun({ ...parts, start: { ...parts.start, args } }, timeoutMs, around.signal);
        },
      ]),
    ),
    settingsProblems: problems,
  };
}

async function catalogueIn({ catalogue }: MakerPart, files: AgentFiles): Promise<Catalogue> {
  try {
    const text = await files.readText(catalogue, catalogueBytesMax);
    if (text === null) return { duties: [], checks: [], orders: [], settings: [], secrets: [] };
    return catalogueShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new AgentError('release-invalid', agentTexts.noRelease(catalogue), agentTexts.noReleaseNext, { cause });
  }
}

/** @param file undefined: the module defines no such secret */
async function secretOf(
  { files, secretsDirectory, hideInLog }: Around,
  file: string | undefined,
): Promise<string | null> {
  if (file === undefined) throw new RangeError(dutyTexts.noSecret);
  const text = (await files.readText(join(secretsDirectory, file), secretBytesMax))?.trim() ?? null;
  if (text !== null) hideInLog(text);
  return text;
}

/** The duty as the scheduler takes it, but for its work. */
function scheduled({ name, schedule, budget = {} }: DescribedDuty): Omit<Duty, 'run'> {
  const given = Object.fromEntries(Object.entries(budget).filter(([, value]) => value !== undefined));
  return { name, schedule: schedule as Duty['schedule'], budget: { ...usualBudget, ...(given as Partial<Budget>) } };
}
