import { join } from 'node:path';
import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { TrialAsked } from '../../protocol/manifest.ts';
import type { Transaction } from '../../protocol/state-record.ts';
import { readJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { httpLimits } from '../effects/http-request.ts';
import { identityTexts } from '../words/texts.ts';
import { systemUser } from './system-users.ts';
import { jsonBy, readWithTwin, twinOf } from './twin.ts';

const userShape = z.object({ uid: z.int().min(1), gid: z.int().min(1) });
export type User = z.infer<typeof userShape>;

const devicePathShape = z.string().startsWith('/').max(400);

const settingsBytesMax = 16 * 1024;

/** updater/settings.json: root's own settings for this appliance. Nothing else may shorten a trial. */
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
      /** The longest migration that a release may ask for; absent: as long as it asks for. */
      migrationMs: z.int().min(0).optional(),
      /** Below the floor of 5 minutes only if somebody declares this to be a story or a soak. */
      belowFloor: z.boolean().default(false),
    })
    .nullable()
    .default(null),
  /** How often a trial is sampled, and how long work may stand still or an answer be missing in it. */
  sampleMs: z.int().min(50).default(1_000),
  /** An agent makes a reading at least once a minute: a late one is not a standstill. */
  stallMs: z.int().min(500).default(150_000),
  answerMs: z.int().min(500).default(60_000),
  /** How long a check may fail in a trial before it counts as a regression. */
  graceMs: z.int().min(0).default(30_000),
  /**
   * How long in all, in running time, a healthy agent may put off the switch to one release by asking not to be
   * stopped.
   */
  deferMaxMs: z
    .int()
    .min(0)
    .default(24 * 60 * 60 * 1000),
  /**
   * Directories below which removable media are mounted; releases there may be installed automatically if their
   * signatures are valid. The image uses /media, /run/media and /mnt; the default is none.
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
  /** A transfer that gets no byte from a server for this long is given up and continued later. */
  httpStallMs: z.int().min(100).default(httpLimits.stallMs),
  /** How long a person can go back to the previous version, in healthy time after a commit. */
  rollbackWindowMs: z
    .int()
    .min(0)
    .default(7 * 24 * 60 * 60 * 1000),
});
export type Settings = z.infer<typeof settingsShape>;

/** Healthy time and deadline of a trial if the release does not say. */
export const defaultTrial = { healthyMs: 10 * 60_000, deadlineMs: 30 * 60_000, tries: 3 } as const;
export const trialFloorMs = 5 * 60_000;
/** The least deadline, as a multiple of the healthy time: a trial that cannot be passed would refuse every release. */
const deadlineRatio = 1.5;

/** Where an image mounts removable media. */
export const mediaDirectories = ['/media', '/run/media', '/mnt'];

export class SettingsError extends Error {
  readonly code = 'settings-invalid';
}

function readOwn(files: Files, layout: Layout): unknown {
  try {
    return readJson(files, layout.settings, settingsBytesMax);
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw new SettingsError(identityTexts.settingsNotJson(layout.settings), { cause });
    throw cause;
  }
}

/** @throws SettingsError */
export function loadSettings(files: Files, layout: Layout): Settings {
  const parsed = settingsShape.safeParse(readOwn(files, layout) ?? { processControl: { kind: 'systemd' } });
  if (!parsed.success)
    throw new SettingsError(identityTexts.settingsWrongShape(layout.settings), { cause: parsed.error });
  return parsed.data;
}

/** Where the development supervisor listens, on a machine without systemd. */
const supervisorSocket = (layout: Layout) => join(layout.run, 'control', 'supervisor.sock');

export interface InForce {
  readonly settings: Settings;
  /** What a person should know about them; null: they are as root wrote them. */
  readonly notice: string | null;
}

/**
 * The settings of a run, which no fault in them stops: the last settings read if the file is damaged or gone, and
 * without those, what this machine itself shows.
 */
export function settingsInForce(files: Files, layout: Layout): InForce {
  const isThere = files.stat(layout.settings) !== null || files.stat(twinOf(layout.settings)) !== null;
  const found = readWithTwin(files, layout.settings, settingsBytesMax, jsonBy(settingsShape));
  if (found !== null && !found.isFromTwin) return { settings: found.value, notice: misspelt(files, layout) };
  const damaged = identityTexts.settingsDamaged(layout.settings);
  if (found !== null) return { settings: found.value, notice: identityTexts.lastSettingsHold(damaged) };
  const isMarked = files.list(layout.updater).some((name) => name.startsWith('settings.json.damaged'));
  if (!isThere && !isMarked)
    return { settings: settingsShape.parse({ processControl: { kind: 'systemd' } }), notice: null };
  const settings = settingsOfMachine(files, layout);
  const { processControl, agentUser, pageUser, sticks } = settings;
  const least = JSON.stringify({ processControl, agentUser, pageUser, sticks });
  const text = identityTexts.noSettings(damaged, least);
  return { settings, notice: text };
}

/** A run continues with what it knows; null: every field is known. */
export function misspelt(files: Files, layout: Layout): string | null {
  const unknown = unknownFieldsText(unknownFields(settingsShape, readOwn(files, layout)));
  return unknown === '' ? null : identityTexts.unknownSetting(layout.settings, unknown);
}

function settingsOfMachine(files: Files, layout: Layout): Settings {
  const socket = supervisorSocket(layout);
  const agentUser = ownerOf(files, layout.agent) ?? systemUser(files, 'hf-agent');
  const pageUser = ownerOf(files, layout.requests) ?? systemUser(files, 'hf-page');
  const isSupervised = files.stat(socket) !== null;
  const isolation = agentUser === null ? 'none' : 'users';
  const processControl = isSupervised ? { kind: 'supervisor', socket, isolation } : { kind: 'systemd' };
  return settingsShape.parse({ processControl, agentUser, pageUser, sticks: mediaDirectories });
}

/** Only root can have given it away: its parent is root's. */
function ownerOf(files: Files, path: string): User | null {
  const facts = files.stat(path);
  return facts?.kind === 'directory' && facts.uid > 0 && facts.gid > 0 ? { uid: facts.uid, gid: facts.gid } : null;
}

/**
 * A manifest may lengthen a trial; only the appliance's own settings may shorten it: to the floor, or below it if they
 * say so.
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
