import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { takeLock } from '../../../updater/appliance/lock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { openEvents } from '../../../updater/server/events.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});

/** The real program, by itself. */
function reset(...words: string[]) {
  const program = [join(checkout, 'updater', 'main.ts'), 'reset', ...words, '--root', layout.root];
  return execa(nodeBinary, program, { reject: false });
}

describe('holdfast-updater reset', () => {
  it.each([
    ['counter', () => layout.counter],
    ['trusted-time', () => join(layout.trust, 'trusted-time')],
    ['trusted-time', () => join(layout.run, 'last-answer.json')],
    ['sources', () => layout.sources],
  ])('%s forgets it, and says what it did and what happens next', async (name, path) => {
    mkdirSync(layout.trust, { recursive: true });
    writeFileSync(path(), '{"damaged');
    const { exitCode, stdout } = await reset(name, '--json');
    expect([exitCode, JSON.parse(stdout)]).toEqual([
      0,
      { reset: name, changed: true, done: expect.any(String), next: expect.any(String) },
    ]);
    expect(existsSync(path())).toBe(false);
    expect(JSON.parse((await reset(name, '--json')).stdout)).toMatchObject({
      changed: false,
      done: expect.stringMatching(/^nothing was reset: /),
    });
  });

  it('acknowledged lets every kept event wait again', async () => {
    const queue = openEvents(realFiles, layout, new TestClock(), '');
    for (const text of ['a', 'b']) queue.add(text, { kind: 'note', text });
    queue.settle(queue.next(), { epoch: 'epoch-1', ackUpto: 2 });
    expect(queue.waiting).toBe(0);
    expect((await reset('acknowledged')).stdout).toContain('wait again');
    const again = openEvents(realFiles, layout, new TestClock(), '').next();
    expect(again.map(({ n, text }) => [n, text])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
  });

  it('changes nothing while an updater is at work, and needs a name that it knows', async () => {
    writeFileSync(layout.counter, '{"reserved":1000}');
    const lock = takeLock(layout);
    expect(JSON.parse((await reset('counter', '--json')).stderr)).toMatchObject({ code: 'busy' });
    lock?.release();
    for (const name of [[], ['everything'], ['toString']]) expect(await reset(...name)).toMatchObject({ exitCode: 2 });
    expect(readFileSync(layout.counter, 'utf8')).toBe('{"reserved":1000}');
  });

  it('is in the help, and has nothing to reset where there is no appliance', async () => {
    const program = [join(checkout, 'updater', 'main.ts'), '--help'];
    expect((await execa(nodeBinary, program)).stdout).toContain('reset NAME');
    const nowhere = ['reset', 'counter', '--json', '--root', join(layout.root, 'nothing')];
    const { stderr } = await execa(nodeBinary, [program[0] ?? '', ...nowhere], { reject: false });
    expect(JSON.parse(stderr)).toMatchObject({ code: 'no-appliance' });
  });
});
