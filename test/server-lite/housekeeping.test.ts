import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validate } from 'node-cron';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { housekeepingAt, keepHouse, scheduleHousekeeping } from '../../server-lite/housekeeping.ts';
import { claimsOf } from '../../server-lite/store/claims.ts';
import { openDatabase } from '../../server-lite/store/database.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-house-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('housekeeping', () => {
  it('removes claim codes that nobody redeemed in time, and no others', () => {
    const db = openDatabase(join(dir, 'server.db'));
    const claims = claimsOf(db);
    const claim = { site: 'harbour', root_version: 1, created_at: 0, for_appliance: null };
    claims.add({ ...claim, name: 'late', secret_hash: 'a'.repeat(64), expires_at: 999 });
    claims.add({ ...claim, name: 'in-time', secret_hash: 'b'.repeat(64), expires_at: 1_001 });
    expect(keepHouse(db, 1_000)).toEqual({ claims: 1 });
    expect(claims.findBySecretHash('a'.repeat(64))).toBeUndefined();
    expect(claims.findBySecretHash('b'.repeat(64))?.name).toBe('in-time');
    db.close();
  });

  it('has a schedule that node-cron accepts, and stops', async () => {
    expect(validate(housekeepingAt)).toBe(true);
    await scheduleHousekeeping(() => undefined).stop();
  });
});
