import type {
  CheckDefinition,
  DutyDefinition,
  MadeCheck,
  MadeDuty,
  MadeOrder,
  MadeSecret,
  MadeSetting,
  OrderDefinition,
  SecretDefinition,
  SettingDefinition,
} from '../threads/made.ts';

/**
 * What a maker imports as `holdfast/agent`: everything of the agent that their code can reach. What is defined is exported
 * by the maker's module, under any name; the build says which definitions cannot work.
 */

export type { Budget, Schedule } from '../duties/definition.ts';
export type {
  CheckDefinition,
  DutyDefinition,
  Finding,
  MadeCheck,
  MadeDuty,
  MadeOrder,
  MadeSecret,
  MadeSetting,
  OrderDefinition,
  Row,
  SecretDefinition,
  SettingDefinition,
  WorkContext,
} from '../threads/made.ts';

/** A piece of work on a schedule, in a thread of its own. */
export function defineDuty<Result>(duty: DutyDefinition<Result>): MadeDuty {
  return { ...duty, kind: 'duty' };
}

/** A look at something, whose status is one of the appliance's checks. */
export function defineCheck(check: CheckDefinition): MadeCheck {
  return { ...check, kind: 'check' };
}

/** What an operator can order; it runs in a thread of its own, at most once by its id. */
export function defineOrder<Args, Result>(order: OrderDefinition<Args, Result>): MadeOrder {
  return { ...order, kind: 'order' };
}

/** What a site may choose, in `maker` of agent.json. */
export function defineSetting<Value>(setting: SettingDefinition<Value>): MadeSetting<Value> {
  return { ...setting, kind: 'setting' };
}

/** What a site keeps secret: a file in `agent/secrets`. */
export function defineSecret(secret: SecretDefinition): MadeSecret {
  return { ...secret, kind: 'secret' };
}
