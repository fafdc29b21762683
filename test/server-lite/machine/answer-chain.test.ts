import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { answerChains } from '../../../server-lite/machine/answer-chain.ts';

/** A server's side of it, and programs that use the one key: each names what it took last. */
function withKey() {
  const chains = answerChains();
  const boots = new Set<string>();
  let answers = 0;
  const program = (boot: string, first?: string) => {
    let last = first;
    return {
      get last() {
        return last;
      },
      starts: () => {
        last = undefined;
      },
      putBack: (earlier: string | undefined) => {
        last = earlier;
      },
      /** @returns whether the server sees two */
      asks: (answer: 'comes' | 'is lost' = 'comes'): boolean => {
        const two = chains.took('key', boots.has(boot), last);
        boots.add(boot);
        answers += 1;
        chains.answered('key', `signature ${answers}`);
        if (answer === 'comes') last = sha256(`signature ${answers}`);
        return two;
      },
    };
  };
  return { chains, program };
}

describe('one program', () => {
  it('is never two because answers to it are lost, in whatever order', () => {
    for (let pattern = 0; pattern < 2 ** 10; pattern += 1) {
      const one = withKey().program('boot');
      for (let i = 0; i < 10; i += 1) {
        expect([pattern, i, one.asks((pattern >> i) % 2 === 0 ? 'comes' : 'is lost')]).toEqual([pattern, i, false]);
      }
    }
  });

  it('is not two because it starts anew and remembers none, as often as it likes', () => {
    const one = withKey().program('boot');
    for (let i = 0; i < 10; i += 1) {
      for (let k = 0; k <= i % 3; k += 1) expect(one.asks(k === 1 ? 'is lost' : 'comes')).toBe(false);
      one.starts();
    }
  });

  it('is not two because its memory was put back once, or its disk again and again', () => {
    const { program } = withKey();
    const one = program('boot');
    one.asks();
    const earlier = one.last;
    for (let i = 0; i < 3; i += 1) one.asks();
    one.putBack(earlier);
    for (let i = 0; i < 5; i += 1) expect(one.asks()).toBe(false);
    for (let i = 0; i < 8; i += 1) {
      const disk = program(`boot ${i}`, earlier);
      for (let k = 0; k < 3; k += 1) expect(disk.asks()).toBe(false);
    }
  });

  it('is not two because the server forgot, or counts what it refused', () => {
    const { chains, program } = withKey();
    const one = program('boot');
    for (let i = 0; i < 4; i += 1) {
      one.asks();
      one.asks();
      if (i % 2 === 0) chains.forget('key');
      // Of a request whose counter was too low: its answer is in no chain.
      chains.answered('key', `signature of a refusal ${i}`);
      expect(one.asks()).toBe(false);
    }
  });
});

describe('two programs with one key in one boot', () => {
  it.each([
    ['names nothing', () => undefined],
    ['names what it makes up', (i: number) => sha256(`made up ${i}`)],
    ['has a copy of what was named then', (_: number, known: string | undefined) => known],
  ])('are seen by the second turn of a thief that %s, at the latest, however seldom it asks', (_, names) => {
    const { program } = withKey();
    const owner = program('boot');
    owner.asks();
    const known = owner.last;
    const seen: boolean[] = [];
    for (let turn = 0; turn < 2; turn += 1) {
      for (let i = 0; i < 100; i += 1) expect(owner.asks()).toBe(seen.at(-1) ?? false);
      program('boot', names(turn, known)).asks();
      seen.push(owner.asks());
    }
    expect(seen.at(-1)).toBe(true);
  });

  it('are seen where a copy goes on by what it is told itself', () => {
    const { program } = withKey();
    const owner = program('boot');
    owner.asks();
    const copy = program('boot', owner.last);
    const seen = [0, 1, 2].flatMap(() => [copy.asks(), owner.asks()]);
    expect(seen).toEqual([false, false, false, true, true, true]);
  });
});
