import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { agentTexts } from '../texts.ts';
import type { DescribedSetting } from './work-shapes.ts';

export interface MadeSettings {
  /** What the site chose, as far as it fits. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
}

/** What `maker` of agent.json says about the settings that a maker defined. */
export function madeSettings(
  described: readonly DescribedSetting[],
  found: Readonly<Record<string, unknown>>,
): MadeSettings {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const { name, standard, schema } of described) {
    if (!Object.hasOwn(found, name)) continue;
    const parsed = z.fromJSONSchema(schema).safeParse(found[name]);
    if (parsed.success) values[name] = found[name];
    else
      problems.push(agentTexts.settingStandard(`maker.${name}`, shapeProblem(parsed.error), JSON.stringify(standard)));
  }
  const known = z.object(Object.fromEntries(described.map(({ name }) => [name, z.unknown()])));
  const misspelt = unknownFieldsText(unknownFields(known, found).filter(({ meant }) => meant !== null));
  return { values, problems: misspelt === '' ? problems : [...problems, `maker: ${misspelt}`] };
}
