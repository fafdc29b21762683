import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../support/world/checkout.ts';

const source = join(checkout, 'image', 'system', 'units');

export interface Directive {
  readonly unit: string;
  readonly name: string;
  readonly value: string;
}

/** The units as they are shipped, by name. */
export function shippedUnits(): ReadonlyMap<string, string> {
  const names = readdirSync(source).filter((name) => /\.(service|socket|path|timer|mount)$/.test(name));
  return new Map(names.map((name) => [name, readFileSync(join(source, name), 'utf8')]));
}

/** Every line of every unit, and every option of a mount, that says how something is run. */
export function directivesOf(units: ReadonlyMap<string, string>): Directive[] {
  const found: Directive[] = [];
  for (const [unit, text] of units) {
    for (const [, name = '', value = ''] of text.matchAll(/^([A-Za-z]+)=(.*)$/gm)) {
      if (name !== 'Options') found.push({ unit, name, value });
      else for (const option of value.split(',')) found.push({ unit, name: `Options ${option.split('=')[0]}`, value });
    }
  }
  return found;
}

const ownOfTheService =
  /^(Exec\w+|Type|Restart\w*|Requires|After|OnFailure|Condition\w+|Description|WantedBy|StartLimit\w+)=/;

/** A shipped service with another program in it, and every limit as it is. */
export function withProgram(text: string, script: string, type: 'oneshot' | 'exec' = 'oneshot'): string {
  const kept = text.split('\n').filter((line) => !ownOfTheService.test(line));
  const remains = type === 'oneshot' ? 'RemainAfterExit=yes\n' : '';
  return kept.join('\n').replace('[Service]', `[Service]\nType=${type}\n${remains}ExecStart=/bin/sh ${script}`);
}

/** What says what is run, when and as whom; everything else is a limit. */
const noLimits =
  /^(Description|Requires|RequiresMountsFor|After|Before|Conflicts|DefaultDependencies|OnFailure|ConditionPathExists|Type|User|Group|Exec\w+|Restart|RestartSec|RemainAfterExit|WantedBy|What|Where|Options mode|ListenStream|PathChanged|Unit|OnActiveSec|OnUnitInactiveSec|AccuracySec)$/;

export function isNoLimit(name: string): boolean {
  return noLimits.test(name);
}
