import { z } from 'zod';
import { agentSettingsShape, type LogLevel } from '../protocol/agent-settings.ts';
import { readFields } from '../protocol/settings-fields.ts';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { parseWritten } from '../protocol/written-json.ts';
import type { AgentFiles } from './effects/effects.ts';
import { systemCode } from './errors.ts';
import { agentTexts } from './texts.ts';

const settingsBytesMax = 64 * 1024;

/**
 * A longer interval is reduced to this: work that stands still for a minute ends a trial, and half a minute is not
 * healthy.
 */
const intervalMsMost = 20_000;

/**
 * The appliance's settings, as the site wrote them. Every file that was ever in the field works: a missing field takes
 * its standard, an unknown one is kept and ignored, and a wrong one is named in `problems` and takes its standard.
 */
export class ApplianceConfig {
  readonly intervalMs: number;
  /** What people call the place, for the log and for `identify`. */
  readonly site_name: string;
  readonly logLevel: LogLevel;
  /** For the settings that the release's maker defined. */
  readonly maker: Readonly<Record<string, unknown>>;
  /** Fields that this version does not know, as they were found. */
  readonly kept: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];

  constructor(found: Readonly<Record<string, unknown>>, unreadable: readonly string[] = []) {
    const { value, problems } = readFields(agentSettingsShape, found);
    this.intervalMs = Math.min(value.intervalMs, intervalMsMost);
    this.site_name = value.site_name;
    this.logLevel = value.logLevel;
    this.maker = value.maker;
    const known = new Set(Object.keys(agentSettingsShape.shape));
    this.kept = Object.fromEntries(Object.entries(found).filter(([name]) => !known.has(name)));
    this.problems = [
      ...unreadable,
      ...problems.map(({ path, problem, standard }) => agentTexts.settingStandard(path, problem, standard)),
    ];
  }
}

/** Reads agent.json; what is wrong with it degrades to the standards and is said, never stops the appliance. */
export async function readSettings(files: AgentFiles, path: string): Promise<ApplianceConfig> {
  try {
    const text = await files.readText(path, settingsBytesMax);
    return new ApplianceConfig(text === null ? {} : z.record(z.string(), z.unknown()).parse(parseWritten(text)));
  } catch (error) {
    const named = error instanceof SyntaxError || error instanceof z.ZodError || systemCode(error) !== null;
    if (!named || !(error instanceof Error)) throw error;
    return new ApplianceConfig({}, [
      agentTexts.settingsUnreadable(error instanceof z.ZodError ? shapeProblem(error) : error.message),
    ]);
  }
}
