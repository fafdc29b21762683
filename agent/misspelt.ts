import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../protocol/known-fields.ts';
import type { ApplianceConfig } from './settings.ts';

const knownShape = z.object({ intervalMs: z.unknown(), site_name: z.unknown(), maker: z.unknown() });

/**
 * Fields of agent.json that are probably misspelt. Other unknown fields belong to other versions and are kept without a
 * word.
 * @returns empty: there are none
 */
export function misspeltIn({ kept }: Pick<ApplianceConfig, 'kept'>): string {
  return unknownFieldsText(unknownFields(knownShape, kept).filter(({ meant }) => meant !== null));
}
