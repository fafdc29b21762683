import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckInCounter } from '../../../agent/check-in-counter.ts';
import { openOutbox } from '../../../agent/outbox.ts';
import { counterMax, counterStepMax, eventNumberStepMax, trustedTimeStepS } from '../../../protocol/bounded-step.ts';
import { counterBlock } from '../../../protocol/check-in.ts';
import { sha256 } from '../../../protocol/digest.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { openCounter } from '../../../updater/server/counter.ts';
import { openEvents } from '../../../updater/server/events.ts';
import { trustedTime, trustedTimeMaxS, withinStep } from '../../../updater/trust/trust-files.ts';
import { installFirstRoot, raiseTrustedTime } from '../../../updater/trust/trust-store.ts';
import { makeAppliance } from '../../support/bundle-fixture.ts';
import { generateRepositoryKeys, signedRoot } from '../../support/tuf-repository.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';

/** Every stored number that a word from outside moves: what one process writes, the next one reads and works with. */

/** What a message can name, with its ends more often than the rest. */
const named = fc.oneof(
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 2 ** 31, counterMax - 1, counterMax, Number.MAX_SAFE_INTEGER),
  fc.nat({ max: 5_000 }),
);
/** What can lie in a file, an older version's or a damaged one's. */
const lying = fc.oneof(named, fc.constantFrom(-1, 0.5, 1e300, null, 'x', {}, []));
const runs = { numRuns: 60 };

describe('the counter of the updater', () => {
  it('moves by a step for each message, and is read again, whatever was named and whatever lay there', () => {
    const layout = temporaryAppliance();
    fc.assert(
      fc.property(lying, fc.array(named, { maxLength: 6 }), (reserved, words) => {
        writeFileSync(layout.counter, JSON.stringify({ reserved }));
        let last = openCounter(realFiles, layout).next();
        for (const next of words) {
          const counter = openCounter(realFiles, layout);
          const before = counter.next();
          counter.adopt(next);
          last = counter.next();
          expect(Number.isSafeInteger(last) && last >= 1 && last < counterMax).toBe(true);
          expect(last - before).toBeLessThanOrEqual(counterStepMax + 1);
          const stored = JSON.parse(readFileSync(layout.counter, 'utf8')).reserved;
          expect(stored).toBeLessThan(counterMax);
          expect(stored).toBeGreaterThanOrEqual(last);
        }
      }),
      runs,
    );
  });
});

describe('the outbox of the agent', () => {
  const answers = fc.record({
    ackUpto: named,
    issuedAtS: named,
    epoch: fc.constantFrom('a', 'b'),
    namesStored: fc.boolean(),
    offerFrom: fc.option(
      named.map((n) => Math.max(1, n)),
      { nil: undefined },
    ),
  });
  const silent = { error: () => undefined, warn: () => undefined, info: () => undefined };
  const at = () => ({ boot: '00000000-0000-4000-8000-000000000001', monoMs: 1 });

  it('gives numbers that are read again, in one order, whatever an answer says', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(answers, named), { minLength: 1, maxLength: 4 }), (words) => {
        const { outboxDb } = temporaryAppliance();
        let texts = 0;
        for (const [answer, next] of words) {
          const outbox = openOutbox(outboxDb, at, silent);
          for (let i = 0; i < 3; i += 1) {
            texts += 1;
            outbox.append({ kind: 'note', text: `${texts}` });
          }
          const counter = new CheckInCounter(outbox);
          const { sent } = outbox.batch();
          const { namesStored, offerFrom, ...rest } = answer;
          outbox.settle(sent, { ...rest, ...(namesStored && { stored: [] }), ...(offerFrom && { offerFrom }) });
          const before = counter.take();
          counter.adopt(next);
          const taken = counter.take();
          expect(Number.isSafeInteger(taken) && taken >= 1 && taken < counterMax + counterBlock).toBe(true);
          expect(taken - before).toBeLessThanOrEqual(counterStepMax + 1);
          outbox.raise('reading', next);
          outbox.close();
        }
        const outbox = openOutbox(outboxDb, at, silent);
        for (const name of ['seq', 'reading', 'issuedAtS'] as const)
          expect(outbox.counter(name)).toBeLessThan(counterMax);
        outbox.close();
        const database = new Sqlite(outboxDb, { readonly: true });
        const rows = database.prepare<[], { n: number; body: string }>('SELECT n, body FROM events ORDER BY n').all();
        database.close();
        for (const { n, body } of rows) expect(JSON.parse(body).n).toBe(n);
        expect(Math.max(...rows.map(({ n }) => n))).toBeLessThan(eventNumberStepMax + 100);
        const notes = rows.map(({ body }) => JSON.parse(body).text).filter((text) => /^\d+$/.test(text));
        expect(notes).toEqual(Array.from({ length: texts }, (_, i) => `${i + 1}`));
      }),
      { numRuns: 25 },
    );
  });

  it("has the time of the server's last answer, which earlier versions judge by, also below one before it", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -5, max: Number.MAX_SAFE_INTEGER }),
        fc.array(answers, { minLength: 1, maxLength: 4 }),
        (lay, words) => {
          const { outboxDb } = temporaryAppliance();
          const first = openOutbox(outboxDb, at, silent);
          first.setCounter('issuedAtS', lay);
          first.close();
          for (const { namesStored, offerFrom, ...answer } of words) {
            const outbox = openOutbox(outboxDb, at, silent);
            outbox.settle([], answer);
            outbox.close();
            const again = openOutbox(outboxDb, at, silent);
            expect(again.counter('issuedAtS')).toBe(answer.issuedAtS < counterMax ? answer.issuedAtS : 0);
            again.close();
          }
        },
      ),
      { numRuns: 10 },
    );
  });
});

describe('the events of the updater', () => {
  it('are read again with their numbers, whatever an answer says and whatever number lay there', () => {
    const layout = temporaryAppliance();
    const words = fc.array(fc.tuple(named, named, fc.boolean()), { maxLength: 4 });
    fc.assert(
      fc.property(lying, words, (nextN, answers) => {
        writeFileSync(layout.events, JSON.stringify({ nextN, waiting: [], kept: nextN, epoch: nextN, beyond: nextN }));
        for (const [i, [ackUpto, from, names]] of answers.entries()) {
          const queue = openEvents(realFiles, layout, new TestClock(), 'hf-00000000000000000001');
          queue.add(`one ${i}`, { kind: 'note', text: `${i}` });
          const memory = { ackUpto, epoch: 'a', offerFrom: Math.max(1, from) };
          queue.settle(queue.next(), names ? { ...memory, stored: [] } : memory);
        }
        const queue = openEvents(realFiles, layout, new TestClock(), 'hf-00000000000000000001');
        queue.add('last', { kind: 'note', text: 'last' });
        const last = queue.next().at(-1);
        expect(Number.isSafeInteger(last?.n)).toBe(true);
        expect(queue.waiting).toBeGreaterThan(0);
      }),
      runs,
    );
  });
});

describe('the trusted time', () => {
  it('moves by a day for each message, and is read again, whatever was named and whatever lay there', () => {
    using appliance = makeAppliance();
    const { layout } = appliance;
    const place = { files: realFiles, layout, builtAtS: 1_700_000_000 };
    const root = signedRoot(generateRepositoryKeys());
    const trusted = installFirstRoot(place, root, sha256(root));
    const secondsNow = () => (trustedTime(place)?.getTime() ?? Number.NaN) / 1000;
    fc.assert(
      fc.property(lying, fc.array(named, { maxLength: 6 }), (seconds, words) => {
        writeFileSync(join(layout.trust, 'trusted-time'), JSON.stringify({ v: 1, seconds }));
        expect(secondsNow()).toBeGreaterThanOrEqual(place.builtAtS);
        for (const issuedAtS of words) {
          const before = secondsNow();
          const wanted = Math.min(Math.max(before, issuedAtS), before + trustedTimeStepS, trustedTimeMaxS);
          const told = raiseTrustedTime(place, trusted, withinStep(new Date(before * 1000), issuedAtS));
          expect([(told?.getTime() ?? Number.NaN) / 1000, secondsNow()]).toEqual([wanted, wanted]);
        }
      }),
      runs,
    );
  });

  it('that begins with a message is read again, whatever that names', () => {
    using appliance = makeAppliance();
    const { layout } = appliance;
    const place = { files: realFiles, layout };
    const root = signedRoot(generateRepositoryKeys());
    const trusted = installFirstRoot(place, root, sha256(root));
    fc.assert(
      fc.property(named, (issuedAtS) => {
        rmSync(join(layout.trust, 'trusted-time'), { force: true });
        raiseTrustedTime(place, trusted, withinStep(null, issuedAtS));
        const wantedMs = Math.min(issuedAtS, trustedTimeMaxS) * 1000;
        expect(trustedTime(place)?.getTime() ?? 0).toBe(wantedMs);
      }),
      runs,
    );
  });
});
