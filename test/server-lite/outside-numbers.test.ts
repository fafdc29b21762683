import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { counterMax, counterStepMax, metadataVersionStepMax } from '../../protocol/bounded-step.ts';
import { counterBlock } from '../../protocol/check-in.ts';
import { countersOf } from '../../server-lite/machine/counter.ts';
import { counterMarkOf } from '../../server-lite/machine/counter-mark.ts';
import { metadataBoardOf } from '../../server-lite/release/metadata-board.ts';
import { appliancesOf } from '../../server-lite/store/appliances.ts';
import { type Db, openDatabase } from '../../server-lite/store/database.ts';
import { settingsOf } from '../../server-lite/store/settings.ts';

/** Every stored number that an appliance moves: what one process of the server writes, the next one reads. */

/** What a message can name, with its ends more often than the rest. */
const named = fc.oneof(
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 2 ** 31, counterMax - 1, counterMax, Number.MAX_SAFE_INTEGER),
  fc.nat({ max: 5_000 }),
);
const directory = mkdtempSync(join(tmpdir(), 'hf-outside-numbers-'));
const applianceId = `hf-${'0'.repeat(20)}`;
const keyId = 'a'.repeat(64);
let db: Db;
beforeAll(() => {
  db = openDatabase(join(directory, 'server.db'));
  const appliances = appliancesOf(db);
  appliances.add({ id: applianceId, name: 'alpha', site: '', hardware: null, enrolled_at: 0 });
  appliances.addKey({ key_id: keyId, appliance: applianceId, role: 'updater', public_key: '', added_at: 0, proven: 1 });
});
afterAll(() => {
  db.close();
  rmSync(directory, { recursive: true });
});

/** A server that begins on what the one before has left. */
function countersAgain() {
  const appliances = appliancesOf(db);
  const damaged: number[] = [];
  const counters = countersOf({
    appliances,
    mark: counterMarkOf(directory),
    isFullError: () => false,
    onDamage: (_, ceiling) => damaged.push(ceiling),
    onFull: () => undefined,
  });
  const key = appliances.key(keyId);
  if (key === undefined) throw new RangeError('no key');
  return { counters, key, damaged };
}

describe('the counter of a key', () => {
  const lying = fc.oneof(named, fc.constantFrom(-1, -5));
  const ahead = fc.oneof(
    fc.constantFrom('', 'x', '1e300 -4', ' 7 x 9'),
    fc.array(named).map((all) => all.join(' ')),
  );
  const words = fc.array(fc.tuple(named, fc.boolean()), { minLength: 1, maxLength: 6 });

  it('moves by a step for each check-in, and is read again, whatever was named and whatever lay there', () => {
    fc.assert(
      fc.property(lying, ahead, words, (ceiling, counters_ahead, messages) => {
        db.prepare('UPDATE keys SET counter_ceiling = ?, counters_ahead = ?').run(ceiling, counters_ahead);
        for (const [seq, isKilled] of messages) {
          const { counters, key, damaged } = countersAgain();
          const before = damaged.length > 0 ? 0 : Math.max(0, key.counter_ceiling);
          const result = counters.take(key, seq);
          if (!isKilled) counters.settle();
          const again = countersAgain();
          const isNewStill = again.counters.isNew(again.key, seq);
          expect(again.key.counter_ceiling - before).toBeLessThanOrEqual(counterStepMax + counterBlock);
          if (again.key.counter_ceiling >= counterMax) {
            // At its end it begins anew, and that is said.
            expect(again.damaged).toEqual([again.key.counter_ceiling]);
          } else if (result.outcome === 'accepted') {
            expect(isNewStill).toBe(false);
          } else {
            // The number that the server names is taken.
            expect(again.counters.take(again.key, result.next)).toEqual({ outcome: 'accepted' });
          }
        }
      }),
      { numRuns: 60, examples: [[counterMax - 1, '', [[Number.MAX_SAFE_INTEGER, true]]]] },
    );
  });
});

describe('the versions of metadata that appliances report', () => {
  const lying = fc.oneof(named, fc.constantFrom(-1, 0.5, 1e300, null, 'x', {}, []));
  const reports = fc.array(fc.record({ timestamp: named, snapshot: named }), { maxLength: 6 });

  it('move by a step for each report, and are read again, whatever was named and whatever lay there', () => {
    fc.assert(
      fc.property(lying, lying, reports, (timestamp, snapshot, reported) => {
        settingsOf(db).write('metadata-versions', JSON.stringify({ timestamp, snapshot }));
        for (const trusted of reported) {
          const board = metadataBoardOf(settingsOf(db));
          const before = board.versions();
          board.raise(trusted, metadataVersionStepMax);
          const after = metadataBoardOf(settingsOf(db)).versions();
          for (const role of ['timestamp', 'snapshot'] as const) {
            const wanted = Math.min(Math.max(before[role], trusted[role]), before[role] + metadataVersionStepMax);
            expect(after[role]).toBe(wanted);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
