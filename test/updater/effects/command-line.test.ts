import { describe, expect, it } from 'vitest';
import { fail } from '../../../updater/effects/command-line.ts';

/** What a command complains of. */
function complained(json: boolean): string {
  const said: string[] = [];
  const line = { options: { json }, complain: (text: string) => said.push(text) };
  fail(line, 'flap', '1.0.2 was rolled back, because it crashed (flap): it ended.', 'See why');
  return said.join();
}

describe('a command that failed', () => {
  it('names the code once for a person, and leaves the message alone for a program', () => {
    expect(complained(false)).toBe('flap: 1.0.2 was rolled back, because it crashed: it ended.\nSee why');
    expect(JSON.parse(complained(true)).message).toContain('(flap)');
  });
});
