import { z } from 'zod';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { parseWritten } from '../protocol/written-json.ts';
import type { AgentFiles } from './effects/effects.ts';
import { systemCode } from './errors.ts';
import { agentTexts } from './texts.ts';

const settingsBytesMax = 64 * 1024;

/** Milliseconds between two readings. */
const intervalMsShape = z.int().min(20).max(60_000);
/**
 * A longer interval is reduced to this: work that stands still for a minute ends a trial, and half a minute is not
 * healthy.
 */
const intervalMsMost = 20_000;
const siteNameShape = z.string().max(60);
const makerShape = z.record(z.string(), z.unknown());

/**
 * The appliance's settings, as the site wrote them. Every file that was ever in the field works: a missing field takes
 * its standard, an unknown one is kept and ignored, and a wrong one is named in `problems` and takes its standard.
 */
export class ApplianceConfig {
  readonly intervalMs: number;
  /** What people call the place, for the log and for `identify`. */
  readonly site_name: string;
  /** For the settings that the release's maker defined. */
  readonly maker: Readonly<Record<string, unknown>>;
  /** Fields that this version does not know, as they were found. */
  readonly kept: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];

  constructor(found: Readonly<Record<string, unknown>>, unreadable: readonly string[] = []) {
    const { intervalMs, site_name, maker, ...kept } = found;
    const problems = [...unreadable];
    this.intervalMs = Math.min(take('intervalMs', intervalMs, intervalMsShape, 1_000, problems), intervalMsMost);
    this.site_name = take('site_name', site_name, siteNameShape, '', problems);
    this.maker = take('maker', maker, makerShape, {}, problems);
    this.kept = kept;
    this.problems = problems;
  }
}

function take<Value>(
  name: string,
  found: unknown,
  shape: z.ZodType<Value>,
  standard: Value,
  problems: string[],
): Value {
  if (found === undefined) return standard;
  const parsed = shape.safeParse(found);
  if (parsed.success) return parsed.data;
  problems.push(agentTexts.settingStandard(name, shapeProblem(parsed.error), JSON.stringify(standard)));
  return standard;
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
