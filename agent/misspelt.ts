import { agentSettingsShape } from '../protocol/agent-settings.ts';
import { unknownFields, unknownFieldsText } from '../protocol/known-fields.ts';
import type { ApplianceConfig } from './settings.ts';

/**
 * Fields of agent.json that are probably misspelt. Other unknown fields belong to other versions and are kept without a
 * word.
 * @returns empty: there are none
 */
export function misspeltIn({ kept }: Pick<ApplianceConfig, 'kept'>): string {
  return unknownFieldsText(unknownFields(agentSettingsShape, kept).filter(({ meant }) => meant !== null));
}
