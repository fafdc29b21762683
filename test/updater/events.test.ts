import { beforeEach, describe, expect, it } from 'vitest';
import { checkInBytesMax } from '../../protocol/check-in.ts';
import { type EventInput, eventShape, eventsPerCheckInMax } from '../../protocol/event.ts';
import { uuidShape } from '../../protocol/ids.ts';
import type { Layout } from '../../protocol/layout.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { eventIdOf, openEvents } from '../../updater/events.ts';
import { temporaryAppliance } from './support/temporary-appliance.ts';
import { TestClock } from './support/test-clock.ts';
import { cutAt, PowerCut } from './support/wrapped-files.ts';

const appliance = 'hf-00000000000000000001';
const note = (text: string) => ({ kind: 'note', text }) as const;

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
});
const open = (files = realFiles) => openEvents(files, layout, new TestClock(), appliance);
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
    queue.acknowledge(1);
    open().add('refused 7', note('again'));
    expect(open().waiting).toBe(0);
    open().add('refused 8', note('another'));
    expect(numbers()).toEqual([2]);
  });

  it('wait until they are acknowledged, also over restarts', () => {
    const queue = open();
    for (const name of ['a', 'b', 'c', 'd']) queue.add(name, note(name));
    queue.acknowledge(2);
    expect(numbers(queue)).toEqual([3, 4]);
    expect(numbers()).toEqual([3, 4]);
    expect(open().waiting).toBe(2);
  });

  it('are not forgotten by an acknowledgement of nothing, or of what was forgotten already', () => {
    const queue = open();
    for (const name of ['a', 'b']) queue.add(name, note(name));
    queue.acknowledge(0);
    queue.acknowledge(1);
    queue.acknowledge(1);
    expect(numbers(queue)).toEqual([2]);
  });

  it('never use a number again after all were acknowledged', () => {
    const queue = open();
    queue.add('a', note('a'));
    queue.acknowledge(1);
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
      open().acknowledge(0);
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
      queue.acknowledge(sent.at(-1)?.n ?? 0);
    }
    expect(all.map(({ n }) => n)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(all.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['release-committed', 'safe-mode']));
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
