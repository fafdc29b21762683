import { z } from 'zod';
import type { Layout } from '../protocol/layout.ts';
import type { TrialAsked } from '../protocol/manifest.ts';
import type { Transaction } from '../protocol/state-record.ts';
import { readJson } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import { httpLimits } from './effects/http.ts';

const userShape = z.object({ uid: z.int().min(1), gid: z.int().min(1) });
export type User = z.infer<typeof userShape>;

const devicePathShape = z.string().startsWith('/').max(400);

const settingsBytesMax = 16 * 1024;

/** updater/settings.json: root's own word about this appliance. Only it may shorten a trial. */
export const settingsShape = z.object({
  processControl: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('supervisor'), socket: z.string(), isolation: z.enum(['users', 'none']) }),
    z.object({ kind: z.literal('systemd') }),
  ]),
  agentUser: userShape.nullable().default(null),
  pageUser: userShape.nullable().default(null),
  trial: z
    .object({
      healthyMs: z.int().min(0),
      deadlineMs: z.int().min(1),
      /** The longest migration that a release may ask for; absent: what it asks for. */
      migrationMs: z.int().min(0).optional(),
      /** Below the floor of 5 minutes only where somebody says that this is a story or a soak. */
      belowFloor: z.boolean().default(false),
    })
    .nullable()
    .default(null),
  /** How often a trial is looked at, and how long work may stand still or an answer be missing in it. */
  sampleMs: z.int().min(50).default(1_000),
  /** An agent makes a reading once a minute at the least: one that is late is no standstill. */
  stallMs: z.int().min(500).default(150_000),
  answerMs: z.int().min(500).default(60_000),
  /** How long a check may fail in a trial before it counts as a regression. */
  graceMs: z.int().min(0).default(30_000),
  /** How long in all a healthy agent may put off the switch to one release by asking not to be stopped, in time of running. */
  deferMaxMs: z
    .int()
    .min(0)
    .default(24 * 60 * 60 * 1000),
  /**
   * Directories below which removable media are mounted; what lies there may be installed by itself when its signatures
   * are right. The image has /media, /run/media and /mnt; nowhere by default.
   */
  sticks: z.array(z.string().startsWith('/').max(400)).max(8).default([]),
  /** The devices of the operating system's two slots, and the one that runs; null: this updater has none to write. */
  os: z
    .object({
      slots: z.object({ '0': devicePathShape, '1': devicePathShape }).refine((two) => two['0'] !== two['1']),
      running: z.enum(['0', '1']),
    })
    .nullable()
    .default(null),
  /** Without one byte from a server for this long, a transfer is given up and carried on later. */
  httpStallMs: z.int().min(100).default(httpLimits.stallMs),
  /** Time for going back to the previous version by hand, in healthy time after a commit. */
  rollbackWindowMs: z
    .int()
    .min(0)
    .default(7 * 24 * 60 * 60 * 1000),
});
export type Settings = z.infer<typeof settingsShape>;

/** Healthy time and deadline of a trial where the release does not say. */
export const defaultTrial = { healthyMs: 10 * 60_000, deadlineMs: 30 * 60_000, tries: 3 } as const;
export const trialFloorMs = 5 * 60_000;
/** A deadline leaves this many times the healthy time: a trial that can not be passed would refuse every release. */
const deadlineRatio = 1.5;

export class SettingsError extends Error {
  readonly code = 'settings-invalid';
}

function readOwn(files: Files, layout: Layout): unknown {
  try {
    return readJson(files, layout.settings, settingsBytesMax);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new SettingsError(`${layout.settings} is not JSON`, { cause });
    throw cause;
  }
}

/** @throws SettingsError */
export function loadSettings(files: Files, layout: Layout): Settings {
  const parsed = settingsShape.safeParse(readOwn(files, layout) ?? { processControl: { kind: 'systemd' } });
  if (!parsed.success) throw new SettingsError(`${layout.settings} does not have its shape`, { cause: parsed.error });
  return parsed.data;
}

/**
 * A manifest may lengthen a trial; only the appliance's own settings may shorten it, to the floor, or below it where
 * they say so.
 */
export function trialLength(
  asked: TrialAsked | undefined,
  settings: Settings,
): Transaction['trial'] & { shortened: boolean } {
  const wanted = {
    healthyMs: Math.max(asked?.healthyMs ?? 0, defaultTrial.healthyMs),
    deadlineMs: Math.max(asked?.deadlineMs ?? 0, defaultTrial.deadlineMs),
  };
  const own = settings.trial;
  const floor = own?.belowFloor ? 0 : trialFloorMs;
  const healthyMs = own === null ? wanted.healthyMs : Math.min(wanted.healthyMs, Math.max(own.healthyMs, floor));
  const deadlineMs = Math.max(
    Math.round(healthyMs * deadlineRatio),
    Math.min(wanted.deadlineMs, own?.deadlineMs ?? wanted.deadlineMs),
  );
  const migrationMs =
    asked?.migrationMs === undefined ? undefined : Math.min(asked.migrationMs, own?.migrationMs ?? Infinity);
  return {
    healthyMs,
    deadlineMs,
    tries: defaultTrial.tries,
    ...(migrationMs === undefined ? {} : { migrationMs }),
    shortened:
      healthyMs < wanted.healthyMs || deadlineMs < wanted.deadlineMs || (migrationMs ?? 0) < (asked?.migrationMs ?? 0),
  };
}
