import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DueQueue } from '../../../agent/duties/due-queue.ts';

it('gives what is due, the earliest first, and nothing that is not', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 0, max: 50 }), (dues, nowMs) => {
      const queue = new DueQueue<readonly [number, number]>();
      for (const [place, due] of dues.entries()) queue.add(due, [due, place]);
      expect(queue.firstMs).toBe(dues.length === 0 ? null : Math.min(...dues));
      const taken = [];
      for (let due = queue.takeUpTo(nowMs); due !== null; due = queue.takeUpTo(nowMs)) taken.push(due);
      const sorted = dues.map((due, place) => [due, place] as const).toSorted(([a], [b]) => a - b);
      expect(taken).toEqual(sorted.filter(([due]) => due <= nowMs));
      expect(queue.firstMs).toBe(sorted.find(([due]) => due > nowMs)?.[0] ?? null);
    }),
  );
});
