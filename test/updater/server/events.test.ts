import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkInBytesMax } from '../../../protocol/check-in.ts';
import { type EventInput, eventShape, eventsPerCheckInMax } from '../../../protocol/event.ts';
import { uuidShape } from '../../../protocol/ids.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { type EventQueue, eventIdOf, openEvents } from '../../../updater/server/events.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { TestClock } from '../support/test-clock.ts';
import { cutAt, PowerCut } from '../support/wrapped-files.ts';

const appliance = 'hf-00000000000000000001';
const note = (text: string) => ({ kind: 'note', text }) as const;

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});
const open = (files = realFiles) => openEvents(files, layout, new TestClock(), appliance);
/** An answer of a server without `stored`. */
const acknowledge = (queue: EventQueue, ackUpto: number) => queue.settle(queue.next(), { ackUpto, epoch: 'epoch-1' });
const numbers = (queue = open()) => queue.next().map(({ n }) => n);

describe('the events of the updater', () => {
  it('have a number that rises without gaps, over restarts', () => {
    open().add('one', note('1'));
    open().add('two', note('2'));
    open().add('three', note('3'));
    expect(numbers()).toEqual([1, 2, 3]);
  });

  it('have the shape that travels, with the time of the boot that made them', () => {
    const queue = open();
    queue.add('one', note('something happened'));
    const [event] = queue.next();
    expect(eventShape.parse(event)).toMatchObject({
      id: eventIdOf(`${appliance} one`),
      kind: 'note',
      text: 'something happened',
      at: { boot: new TestClock().bootId(), monoMs: 100_000 },
    });
  });

  it('are one event when a repeated step reports the same thing again, in this process or the next', () => {
    const queue = open();
    queue.add('rolled-back 7', note('first'));
    queue.add('rolled-back 7', note('again'));
    open().add('rolled-back 7', note('again'));
    expect(open().next()).toMatchObject([{ n: 1, text: 'first' }]);
  });

  it('are not made again when a repeated step reports what was acknowledged in between: its number would never arrive', () => {
    const queue = open();
    queue.add('refused 7', note('first'));
    acknowledge(queue, 1);
    open().add('refused 7', note('again'));
    expect(open().waiting).toBe(0);
    open().add('refused 8', note('another'));
    expect(numbers()).toEqual([2]);
  });

  it('wait until they are acknowledged, also over restarts', () => {
    const queue = open();
    for (const name of ['a', 'b', 'c', 'd']) queue.add(name, note(name));
    acknowledge(queue, 2);
    expect(numbers(queue)).toEqual([3, 4]);
    expect(numbers()).toEqual([3, 4]);
    expect(open().waiting).toBe(2);
  });

  it('are not forgotten by an acknowledgement of nothing, or of what was forgotten already', () => {
    const queue = open();
    for (const name of ['a', 'b']) queue.add(name, note(name));
    acknowledge(queue, 0);
    acknowledge(queue, 1);
    acknowledge(queue, 1);
    expect(numbers(queue)).toEqual([2]);
  });

  it('never use a number again after all were acknowledged', () => {
    const queue = open();
    queue.add('a', note('a'));
    acknowledge(queue, 1);
    queue.add('b', note('b'));
    expect(numbers()).toEqual([2]);
  });

  it('are durable when they are added, and whole wherever the power goes', () => {
    open().add('before', note('before'));
    for (let n = 1; n < 100; n += 1) {
      const cut = cutAt(n);
      try {
        open(cut.files).add('new', note('new'));
        expect(
          open()
            .next()
            .map(({ text }) => text),
        ).toEqual(['before', 'new']);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
      }
      expect(open().next()[0]).toMatchObject({ n: 1, text: 'before' });
      acknowledge(open(), 0);
    }
    expect.unreachable('it never ended');
  });

  it('keep their numbers without gaps when the server is away for longer than there is room', () => {
    const queue = open();
    for (let i = 1; i <= 199; i += 1) queue.add(`note ${i}`, note(`${i}`));
    queue.add('safe', { kind: 'safe-mode', text: 'safe' });
    for (let i = 200; i <= 250; i += 1) queue.add(`note ${i}`, note(`${i}`));
    queue.add('committed 7', { kind: 'release-committed', text: 'committed' });
    const all: EventInput[] = [];
    for (let sent = queue.next(); sent.length > 0; sent = queue.next()) {
      all.push(...sent);
      acknowledge(queue, sent.at(-1)?.n ?? 0);
    }
    expect(all.map(({ n }) => n)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(all.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['release-committed', 'safe-mode']));
  });
});

describe('an acknowledgement', () => {
  const epoch = 'epoch-1';
  const texts = (queue: EventQueue) => queue.next().map(({ text }) => text);
  const idsOf = (queue: EventQueue) => queue.next().map(({ id }) => id);
  function filled(names: readonly string[]): EventQueue {
    const queue = open();
    for (const name of names) queue.add(name, note(name));
    return queue;
  }

  it('by id forgets exactly what the server names, in whatever order', () => {
    const queue = filled(['a', 'b', 'c']);
    const [, b] = idsOf(queue);
    expect(queue.settle(queue.next(), { epoch, ackUpto: 0, stored: [b ?? ''] })).toEqual([]);
    expect(texts(open())).toEqual(['a', 'c']);
  });

  it('forgets nothing that its request did not carry, whatever number or id it names', () => {
    const queue = filled(['a', 'b']);
    const stored = idsOf(queue);
    queue.settle([], { epoch, ackUpto: 0, stored });
    queue.settle([], { epoch, ackUpto: 1_000_000 });
    expect(texts(queue)).toContain('a');
    expect(texts(queue)).toContain('b');
  });

  it('above all that was ever added stops nothing, and is said once for each epoch, to the server too', () => {
    const queue = filled(['a']);
    const memory = { ackUpto: Number.MAX_SAFE_INTEGER, stored: [] };
    expect(queue.settle(queue.next(), { ...memory, epoch })).toEqual([expect.stringContaining('never had')]);
    expect(queue.settle(queue.next(), { ...memory, epoch })).toEqual([]);
    expect(open().settle([], { ...memory, epoch })).toEqual([]);
    expect(open().settle([], { ...memory, epoch: 'epoch-2' })).toHaveLength(1);
    expect(texts(open())).toEqual(['a', ...Array(2).fill(expect.stringContaining('never had'))]);
    open().add('b', note('b'));
    expect(open().next().at(-1)).toMatchObject({ n: 4, text: 'b' });
  });

  it('of a server that misses some makes these wait again, from the number that it names, and says so', () => {
    const queue = filled(['a', 'b', 'c']);
    queue.settle(queue.next(), { epoch, ackUpto: 3, stored: idsOf(queue) });
    expect(queue.waiting).toBe(0);
    expect(queue.settle([], { epoch, ackUpto: 1, stored: [], offerFrom: 2 })).toEqual([
      expect.stringContaining('2 events'),
    ]);
    expect(texts(open())).toEqual(['b', 'c', expect.stringContaining('restored')]);
    expect(numbers()).toEqual([2, 3, 4]);
  });

  it('of a server of another epoch makes all wait again that is kept', () => {
    const queue = filled(['a', 'b']);
    queue.settle(queue.next(), { epoch, ackUpto: 2, stored: idsOf(queue) });
    open().settle([], { epoch: 'epoch-2', ackUpto: 2, stored: [] });
    expect(numbers()).toEqual([1, 2, 3]);
  });

  it('of a server without `stored` that counts less than it did makes wait again what it counts no more', () => {
    const queue = filled(['a', 'b', 'c']);
    acknowledge(queue, 3);
    acknowledge(queue, 1);
    expect(numbers()).toEqual([2, 3, 4]);
  });

  it('keeps a repeated step one event, also while it waits again', () => {
    const queue = filled(['a']);
    acknowledge(queue, 1);
    for (let i = 0; i < 40; i += 1) {
      queue.add(`other ${i}`, note('x'));
      acknowledge(queue, i + 2);
    }
    queue.add('a', note('again'));
    expect(queue.waiting).toBe(0);
    queue.settle([], { epoch, ackUpto: 0, stored: [], offerFrom: 1 });
    queue.add('a', note('again'));
    expect(texts(queue).filter((text) => text === 'a' || text === 'again')).toEqual(['a']);
  });

  it('is kept within the bound of the file, whatever waits beside it', () => {
    const queue = open();
    const exit = { code: 1, signal: null };
    const output = '\u0001'.repeat(4_000);
    const crash = { kind: 'agent-crashed', text: '', crash: { count: 1, exit, version: '1.0.49', output } } as const;
    for (let i = 0; i < 25; i += 1) {
      queue.add(`crash ${i}`, crash);
      queue.settle(queue.next(), { epoch, ackUpto: 0, stored: idsOf(queue) });
    }
    queue.add('one more', crash);
    const [one] = queue.next();
    const stored = JSON.parse(readFileSync(layout.events, 'utf8'));
    const waiting = Array.from({ length: 195 }, (_, i) => ({ ...one, id: eventIdOf(`waits ${i}`), n: 27 + i }));
    writeFileSync(layout.events, JSON.stringify({ ...stored, waiting }));
    open().settle([], { epoch: 'epoch-2', ackUpto: 0, stored: [] });
    expect(open().waiting).toBe(200);
    expect(statSync(layout.events).size).toBeLessThan(2 * 1024 * 1024);
  });
});

describe('what an older updater wrote', () => {
  it('is read, and nothing of it is offered again at the first answer', () => {
    const [one] = [open()].map((queue) => {
      queue.add('a', note('a'));
      return queue.next()[0];
    });
    const stored = { nextN: 8, waiting: [{ ...one, n: 7 }], acknowledged: ['0'.repeat(36)] };
    writeFileSync(layout.events, JSON.stringify(stored));
    expect(open().settle(open().next(), { epoch: 'epoch-1', ackUpto: 7 })).toEqual([]);
    open().add('b', note('b'));
    expect(numbers()).toEqual([8]);
  });
});

describe('one check-in', () => {
  it('takes the oldest, and no more than it may', () => {
    const queue = open();
    for (let i = 1; i <= 40; i += 1) queue.add(`note ${i}`, note(`${i}`));
    expect(numbers(queue)).toEqual(Array.from({ length: eventsPerCheckInMax }, (_, i) => i + 1));
  });

  it('takes no more than fits beside everything else', () => {
    const queue = open();
    for (let i = 1; i <= 20; i += 1) queue.add(`note ${i}`, note('x'.repeat(2_000)));
    const sent = queue.next();
    expect(sent.length).toBeGreaterThan(1);
    expect(JSON.stringify(sent).length).toBeLessThan(checkInBytesMax - 4_096);
  });

  it.each([
    { what: 'control characters', character: '\u0001' },
    { what: 'characters of three bytes', character: '€' },
    { what: 'halves of characters', character: '\ud800' },
  ])('has room for any last output, though it is nothing but $what', ({ character }) => {
    const queue = open();
    const exit = { code: 1, signal: null };
    const crash = { count: 1, exit, version: '1.0.49', output: `begin${character.repeat(3_980)}end` };
    queue.add('crash', { kind: 'agent-crashed', text: character.repeat(1_990), crash });
    queue.add('after', note('after'));
    const [event] = queue.next();
    expect(Buffer.byteLength(JSON.stringify([event]))).toBeLessThan(checkInBytesMax - 4_096);
    expect(event?.crash?.output).toMatch(/^begin/);
    expect(event?.crash?.output).toMatch(/end$/);
  });
});

describe('the id of an event', () => {
  it('is a UUID, the same for the same name for ever', () => {
    expect(eventIdOf('x')).toBe(eventIdOf('x'));
    expect(eventIdOf('x')).not.toBe(eventIdOf('y'));
    for (let i = 0; i < 200; i += 1) expect(uuidShape.safeParse(eventIdOf(`name ${i}`)).success).toBe(true);
  });
});
