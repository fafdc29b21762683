import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { agentTexts } from '../texts.ts';
import type { DescribedSecret, DescribedSetting } from './work-shapes.ts';

export interface MadeSettings {
  /** What the site chose, as far as it fits. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The file of each secret, by the secret's name. */
  readonly secretFiles: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** A plain file name. */
const secretFileShape = z
  .string()
  .max(64)
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/, agentTexts.secretFile);

/** What `maker` of agent.json says about the settings and secrets that a maker defined. */
export function madeSettings(
  described: readonly DescribedSetting[],
  secrets: readonly DescribedSecret[],
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
  const secretFiles = new Map<string, string>();
  for (const { name } of secrets) {
    const parsed = secretFileShape.safeParse(Object.hasOwn(found, name) ? found[name] : name);
    secretFiles.set(name, parsed.success ? parsed.data : name);
    if (!parsed.success) problems.push(agentTexts.settingStandard(`maker.${name}`, shapeProblem(parsed.error), name));
  }
  const known = z.object(Object.fromEntries([...described, ...secrets].map(({ name }) => [name, z.unknown()])));
  const misspelt = unknownFieldsText(unknownFields(known, found).filter(({ meant }) => meant !== null));
  return { values, secretFiles, problems: misspelt === '' ? problems : [...problems, `maker: ${misspelt}`] };
}
