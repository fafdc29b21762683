import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventNumberStepMax } from '../../../protocol/bounded-step.ts';
import {
  askedMax,
  type Gap,
  gapsMax,
  type Hearing,
  hear,
  type Numbering,
} from '../../../server-lite/rules/numbering.ts';

const begin: Numbering = { told: 0, last: 0, former: null };

/** One sender's requests, one after the other: numbers of new events, or of known ones as text. */
function requests(...numbers: readonly (readonly (number | string)[])[]): Hearing {
  let heard: Hearing = { numbering: begin, gaps: [], remarks: [], offerFrom: null, found: false };
  for (const one of numbers) {
    const events = one.map((n) => ({ n: Number(n), isNew: typeof n === 'number' }));
    heard = hear(heard.numbering, heard.gaps, events);
  }
  return heard;
}

function missing(gaps: readonly Gap[]): string[] {
  return gaps.map(({ from, to }) => `${from}-${to}`);
}

describe('the numbers of a sender', () => {
  it('that go on leave nothing to be said', () => {
    expect(requests([1, 2], [3])).toMatchObject({
      numbering: { last: 3, told: 3 },
      gaps: [],
      remarks: [],
      offerFrom: null,
    });
  });

  it('that leave some out are asked for once, from the first one that is missing', () => {
    const found = requests([1, 2], [12, 13]);
    expect(found).toMatchObject({
      offerFrom: 3,
      found: true,
      remarks: [{ kind: 'missing', range: { from: 3, to: 11 } }],
    });
    expect(missing(found.gaps)).toEqual(['3-11']);
    expect(requests([1, 2], [12, 13], [14])).toMatchObject({ offerFrom: null, found: false, remarks: [] });
  });

  it('are asked for again, a few times, when what follows the gap comes once more', () => {
    const lost = Array.from({ length: askedMax - 1 }, () => ['12']);
    expect(requests([1], [12], ...lost)).toMatchObject({ offerFrom: 2, remarks: [] });
    expect(requests([1], [12], ...lost, ['12'])).toMatchObject({ offerFrom: null, remarks: [] });
  });

  it('that arrive after all are told of when the whole gap has come', () => {
    expect(requests([1], [6], [2, 3])).toMatchObject({ numbering: { last: 6 }, remarks: [], offerFrom: null });
    const done = requests([1], [6], [2, 3], [4, 5]);
    expect(done).toMatchObject({ gaps: [], remarks: [{ kind: 'arrived', range: { from: 2, to: 5 }, missing: [] }] });
  });

  it('that arrive in part are told of, with what did not, once the sender goes on', () => {
    const gone = requests([1], [9], [4, 5, 7]);
    expect([gone.remarks, missing(gone.gaps)]).toEqual([[], ['2-3', '6-6', '8-8']]);
    const told = requests([1], [9], [4, 5, 7], [10]);
    expect(told.remarks).toMatchObject([
      {
        kind: 'arrived',
        range: { from: 2, to: 8 },
        missing: [
          { from: 2, to: 3 },
          { from: 6, to: 6 },
          { from: 8, to: 8 },
        ],
      },
    ]);
    expect(requests([1], [9], [4, 5, 7], [10], [11]).remarks).toEqual([]);
  });

  it('go back with a sender whose outbox was lost, and go on from there', () => {
    const back = requests([1, 2, 3], [9], [2]);
    expect(back).toMatchObject({ numbering: { last: 2, told: 2, former: 9 }, gaps: [] });
    expect(back.remarks).toEqual([{ kind: 'went-back', from: 9, to: 2 }]);
    expect(requests([1, 2, 3], [9], [2], [3, 4])).toMatchObject({ remarks: [], numbering: { last: 4 } });
    // What is missing in the new numbering is missing, whatever the old one had.
    expect(requests([1, 2, 3], [9], [2], [5]).remarks).toEqual([{ kind: 'missing', range: { from: 3, to: 4 } }]);
  });

  it('of two devices with one key that alternate are said once, not with each check-in', () => {
    const [first, ...rest] = [[101], [804], [102, 103], [805], [104]];
    let heard = hear(
      { told: 803, last: 803, former: null },
      [],
      (first ?? []).map((n) => ({ n, isNew: true })),
    );
    expect(heard.remarks).toEqual([{ kind: 'went-back', from: 803, to: 101 }]);
    for (const one of rest) {
      heard = hear(
        heard.numbering,
        heard.gaps,
        one.map((n) => ({ n, isNew: true })),
      );
      expect([heard.remarks, heard.offerFrom]).toEqual([[], null]);
    }
  });

  it('whose one message names a number beyond all others move what is told by a bounded step only', () => {
    const far = requests([1], [Number.MAX_SAFE_INTEGER]);
    expect(far.numbering.told).toBe(1 + eventNumberStepMax);
    const after = requests([1], [Number.MAX_SAFE_INTEGER], [2, 3]);
    // 2 and 3 were missing by that number, so they fill what it left.
    expect([after.numbering.told, missing(after.gaps)]).toEqual([
      1 + eventNumberStepMax,
      [`4-${Number.MAX_SAFE_INTEGER - 1}`],
    ]);
  });

  it('whatever they are: gaps stay few and apart, new numbers are never in one, and the next request is read', () => {
    const request = fc.array(fc.record({ n: fc.integer({ min: 1, max: 60 }), isNew: fc.boolean() }), { maxLength: 24 });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 30 }), (all) => {
        let heard: Hearing = { numbering: begin, gaps: [], remarks: [], offerFrom: null, found: false };
        for (const one of all) {
          const sorted = one.toSorted((a, b) => a.n - b.n);
          heard = hear(heard.numbering, heard.gaps, sorted);
          expect(heard.gaps.length).toBeLessThanOrEqual(gapsMax);
          const inOrder = heard.gaps.toSorted((a, b) => a.from - b.from);
          for (const [index, { from, to }] of inOrder.entries()) {
            expect(from).toBeLessThanOrEqual(to);
            // Apart from each other, or a table of them has two rows for one place.
            expect(from).toBeGreaterThan(inOrder[index - 1]?.to ?? 0);
          }
          const inGaps = sorted.filter(
            ({ n, isNew }) => isNew && heard.gaps.some(({ from, to }) => n >= from && n <= to),
          );
          const wentBack = heard.remarks.some(({ kind }) => kind !== 'arrived');
          if (!wentBack) expect(inGaps).toEqual([]);
          expect(heard.numbering.told).toBeLessThanOrEqual(heard.numbering.last + eventNumberStepMax);
        }
      }),
    );
  });
});
