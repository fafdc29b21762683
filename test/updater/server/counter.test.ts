import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { counterBlock } from '../../../protocol/check-in.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { openCounter } from '../../../updater/server/counter.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { cutAt, PowerCut, recordFiles, systemError } from '../support/wrapped-files.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});
const open = (files = realFiles) => openCounter(files, layout);

describe('the counter of a key', () => {
  it('begins at 1 and rises by one', () => {
    const counter = open();
    expect([counter.next(), counter.next(), counter.next()]).toEqual([1, 2, 3]);
  });

  it('never repeats a number over processes that end without a word', () => {
    const used = Array.from({ length: 5 }, () => {
      const counter = open();
      return [counter.next(), counter.next()];
    }).flat();
    expect(new Set(used).size).toBe(used.length);
    expect(used).toEqual(used.toSorted((a, b) => a - b));
  });

  it('never repeats a number in a process that uses more than a block', () => {
    const counter = open();
    const used = Array.from({ length: 2 * counterBlock + 3 }, () => counter.next());
    expect(used).toEqual(used.map((_, i) => i + 1));
    expect(open().next()).toBeGreaterThan(2 * counterBlock + 3);
  });

  it('has reserved a number durably before it gives it out', () => {
    const { files, lines } = recordFiles();
    const counter = open(files);
    lines.length = 0;
    counter.next();
    expect(lines.slice(-1)).toEqual([`syncDirectory ${layout.updater}`]);
    expect(JSON.parse(readFileSync(layout.counter, 'utf8'))).toEqual({ reserved: counterBlock });
    lines.length = 0;
    counter.next();
    expect(lines).toEqual([]);
  });

  it('never repeats a number wherever the power goes while a block is reserved', () => {
    let highest = 0;
    for (let n = 1; n < 100; n += 1) {
      const cut = cutAt(n);
      try {
        const counter = openCounter(cut.files, layout);
        for (let i = 0; i < counterBlock + 1; i += 1) {
          const number = counter.next();
          expect(number).toBeGreaterThan(highest);
          highest = number;
        }
        expect(n).toBeGreaterThan(10);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
      }
    }
    expect.unreachable('it never ended');
  });

  it('goes on from the higher number that the server knows, also after a restart', () => {
    const counter = open();
    counter.next();
    counter.adopt(50_000);
    expect(counter.next()).toBe(50_000);
    expect(open().next()).toBeGreaterThan(50_000);
  });

  it('is as far after many runs as they used it: what a run did not use is given back', () => {
    for (let run = 1; run <= 5; run += 1) {
      const counter = open();
      expect([counter.next(), counter.next()]).toEqual([2 * run - 1, 2 * run]);
      counter.giveBack();
    }
  });

  it('gives back nothing of what another process reserved meanwhile, or of what it did not reserve', () => {
    const counter = open();
    counter.giveBack();
    counter.next();
    const probed = open();
    const used = probed.next();
    counter.giveBack();
    expect(open().next()).toBeGreaterThan(used);
  });

  it.each(['EIO', 'EROFS', 'ENOSPC'])(
    'ends no run where the disk refuses to take it back (%s), and repeats none',
    (code) => {
      let refuses = false;
      const rename: typeof realFiles.rename = (from, to) => {
        if (refuses) throw systemError(code);
        realFiles.rename(from, to);
      };
      const counter = open({ ...realFiles, rename });
      const used = counter.next();
      refuses = true;
      counter.giveBack();
      expect(open().next()).toBeGreaterThan(used);
    },
  );

  it('never repeats a number wherever the power goes while it is given back', () => {
    for (let n = 1; n < 100; n += 1) {
      const cut = cutAt(n);
      const counter = openCounter(realFiles, layout);
      const used = counter.next();
      try {
        const ending = openCounter(cut.files, layout);
        const last = ending.next();
        ending.giveBack();
        expect(open().next()).toBeGreaterThan(Math.max(used, last));
        expect(n).toBeGreaterThan(10);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
        expect(open().next()).toBeGreaterThan(used);
      }
    }
    expect.unreachable('it never ended');
  });

  it('never goes back to a lower one that the server names', () => {
    const counter = open();
    counter.adopt(50_000);
    counter.next();
    counter.adopt(3);
    expect(counter.next()).toBe(50_001);
  });
});
