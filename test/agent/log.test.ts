import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openLog } from '../../agent/effects/log.ts';
import { linesPerMinute, RateBound } from '../../agent/effects/rate-bound.ts';

function opened() {
  const now = { monoMs: 0 };
  const output = new PassThrough();
  let text = '';
  output.on('data', (chunk) => {
    text += chunk;
  });
  const clock = { monoMs: () => now.monoMs, wallS: () => 0 };
  const lines = () =>
    text
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  return { now, lines, ...openLog(output, clock) };
}

describe('the log', () => {
  it('writes a message that comes too often a bounded number of times, and then says how many it left out', () => {
    const { log, now, lines } = opened();
    for (let i = 0; i < linesPerMinute + 30; i += 1) log.warn({ duty: 'meter', i }, 'a duty says');
    log.warn({ duty: 'pump' }, 'a duty says');
    expect(lines()).toHaveLength(linesPerMinute + 1);
    now.monoMs = 60_000;
    log.info({}, 'something else');
    expect(lines().slice(-2)).toMatchObject([{ leftOut: 30, of: 'a duty says' }, { msg: 'something else' }]);
    log.warn({ duty: 'meter' }, 'a duty says');
    expect(lines().at(-1)).toMatchObject({ duty: 'meter' });
  });

  it('has no secret, by the name of its field or within an address', () => {
    const { log, lines, recent } = opened();
    const secret = 'tr0ub4dor';
    log.info(
      { token: secret, proxy: { password: secret }, url: `http://me:${secret}@proxy:3128/` },
      `by //me:${secret}@x`,
    );
    expect(JSON.stringify([lines(), recent()])).not.toContain(secret);
    expect(lines()[0]).toMatchObject({ token: '[redacted]', url: 'http://[redacted]@proxy:3128/' });
  });

  it('has no text that is to be hidden, in whatever line it stands', () => {
    const { log, lines, hide } = opened();
    hide('s3cr"et-of-site');
    log.info({ line: 'the collector refused s3cr"et-of-site' }, 'with s3cr"et-of-site');
    expect(lines()[0]).toMatchObject({ line: 'the collector refused [redacted]', msg: 'with [redacted]' });
  });

  it('writes nothing below its level, which is set while it runs', () => {
    const { log, lines, setLevel } = opened();
    setLevel('error');
    log.warn({}, 'not this');
    log.error({}, 'this');
    setLevel('info');
    log.info({}, 'and this');
    expect(lines().map(({ msg }) => msg)).toEqual(['this', 'and this']);
  });
});

describe('the count of messages', () => {
  it('is bounded: a flood of different messages holds no memory', () => {
    const bound = new RateBound(() => 0);
    for (let i = 0; i < linesPerMinute + 1; i += 1) bound.takes('first', 'first');
    for (let i = 0; i < 500; i += 1) expect(bound.takes(`key ${i}`, 'x')).toBe(true);
    // The first one was forgotten.
    expect(bound.takes('first', 'first')).toBe(true);
  });
});
