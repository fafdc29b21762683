import { eventNumberStepMax, stepTowards } from '../../protocol/bounded-step.ts';

/**
 * What the numbers of a sender's events show about missing ones. Pure: events are known by their ids, and no event is
 * refused or delayed because of its number; a number only shows that there must have been others.
 */

/**
 * Gaps of one sender that are remembered; the oldest is dropped first. Each was recorded as missing when it was found.
 */
export const gapsMax = 16;
/** How often a gap is asked for at most: an answer may be lost on its way. */
export const askedMax = 3;

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Numbers that never arrived, and the gap that they are a rest of. */
export interface Gap extends Range {
  readonly of: Range;
  readonly asked: number;
  /** The part that has arrived so far was recorded. */
  readonly told: boolean;
}

export interface Numbering {
  /** How far a sender without events is told that it has come. One message moves it up by a bounded step. */
  readonly told: number;
  /** The number that the sender used last. It goes back when the sender does. */
  readonly last: number;
  /** Where the previous numbering ended, so that two that alternate are not two gaps. */
  readonly former: number | null;
}

export interface Heard {
  readonly n: number;
  /** It was not stored before. */
  readonly isNew: boolean;
}

export type Remark =
  | { readonly kind: 'missing'; readonly range: Range }
  | { readonly kind: 'arrived'; readonly range: Range; readonly missing: readonly Range[] }
  | { readonly kind: 'went-back'; readonly from: number; readonly to: number };

export interface Hearing {
  readonly numbering: Numbering;
  readonly gaps: readonly Gap[];
  readonly remarks: readonly Remark[];
  /** The sender should offer again what it keeps from this number on; null: nothing is asked for. */
  readonly offerFrom: number | null;
  /** A gap was found just now. */
  readonly found: boolean;
}

const isIn = (n: number, { from, to }: Range): boolean => n >= from && n <= to;
const isSame = (a: Range, b: Range): boolean => a.from === b.from && a.to === b.to;

/** The rest of a gap without a range of numbers. */
function without(gap: Gap, { from, to }: Range): Gap[] {
  if (gap.to < from || gap.from > to) return [gap];
  const rest: Gap = { ...gap, told: false };
  return [
    { ...rest, to: from - 1 },
    { ...rest, from: to + 1 },
  ].filter((one) => one.from <= one.to);
}

/** @param heard in ascending order of numbers */
export function hear(before: Numbering, gapsBefore: readonly Gap[], heard: readonly Heard[]): Hearing {
  let { last, former } = before;
  let gaps = [...gapsBefore];
  const remarks: Remark[] = [];
  const asked: Range[] = [];
  let goesOn = false;
  for (const { n, isNew } of heard) {
    const gap = gaps.find((one) => isIn(n, one));
    if (!isNew) {
      if (n === last + 1) last = n;
      // What follows a gap came again: the answer that asked for the gap was lost.
      asked.push(...gaps.filter((one) => one.to + 1 === n && one.asked < askedMax && isSame(one, one.of)));
    } else if (gap !== undefined) {
      gaps = gaps.flatMap((one) => (one === gap ? without(one, { from: n, to: n }) : [one]));
      if (!gaps.some(({ of }) => isSame(of, gap.of))) remarks.push({ kind: 'arrived', range: gap.of, missing: [] });
    } else {
      goesOn = true;
      if (n !== last + 1 && n === (former ?? -1) + 1) former = last;
      else if (n > last + 1) {
        const range = { from: last + 1, to: n - 1 };
        // Two devices that number in turn leave gaps in each other's numbers: no number is missing twice.
        gaps = gaps.flatMap((one) => without(one, range));
        gaps.push({ ...range, of: range, asked: 0, told: false });
        asked.push(range);
        remarks.push({ kind: 'missing', range });
      } else if (n <= last) {
        remarks.push({ kind: 'went-back', from: last, to: n });
        former = last;
        gaps = [];
      }
      last = n;
    }
  }
  if (goesOn) gaps = tellArrived(gaps, remarks);
  gaps = gaps
    .map((one) => (asked.some((range) => isSame(range, one)) ? { ...one, asked: one.asked + 1 } : one))
    .slice(-gapsMax);
  // Only what this request brought counts: one number far beyond all others must not cause a step with each later
  // event.
  const highest = heard.reduce((most, { n, isNew }) => (isNew ? Math.max(most, n) : most), 0);
  const told = Math.min(last, stepTowards(before.told, highest, eventNumberStepMax));
  return {
    numbering: { told, last, former },
    gaps,
    remarks,
    offerFrom: asked.length === 0 ? null : Math.min(...asked.map(({ from }) => from)),
    found: remarks.some(({ kind }) => kind === 'missing'),
  };
}

/** The sender continued, so what it kept of a gap has arrived: the rest is reported once. */
function tellArrived(gaps: readonly Gap[], remarks: Remark[]): Gap[] {
  const partly = gaps.filter((one) => !one.told && !isSame(one, one.of));
  for (const { of } of partly) {
    if (remarks.some((one) => one.kind === 'arrived' && isSame(one.range, of))) continue;
    remarks.push({ kind: 'arrived', range: of, missing: gaps.filter((one) => isSame(one.of, of)) });
  }
  return gaps.map((one) => (partly.includes(one) ? { ...one, told: true } : one));
}
