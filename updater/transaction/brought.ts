import { resolve } from 'node:path';
import type { Transaction } from '../../protocol/state-record.ts';
import type { Appliance } from '../appliance/appliance.ts';

/** A network failure says nothing about the release: the next run continues where this one stopped. */
export const networkCodes = new Set<string>(['unreachable', 'stalled', 'timed-out', 'truncated', 'http-status']);

/** A file that somebody brought stays in its place, or lies in work/ when it was uploaded. */
export function broughtPath({ layout }: Pick<Appliance, 'layout'>, { source }: Pick<Transaction, 'source'>): string {
  return resolve(layout.work, source.path);
}
