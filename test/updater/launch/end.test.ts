import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { countEnd, readEnds } from '../../../updater/launch/end.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.run, { recursive: true });
});
const count = (invocation: string, code: string, status: string) =>
  countEnd(realFiles, layout, { invocation, code, status });
const ends = () => readEnds(realFiles, layout);

describe('an end of the agent', () => {
  it('is counted with how it came, the newest one by name', () => {
    expect(ends()).toEqual({ crashes: 0, invocation: null, exit: null });
    expect(count('a', 'exited', '1')).toBe(true);
    expect(ends()).toEqual({ crashes: 1, invocation: 'a', exit: { code: 1, signal: null } });
    expect(count('b', 'killed', 'SEGV')).toBe(true);
    expect(ends()).toEqual({ crashes: 2, invocation: 'b', exit: { code: null, signal: 'SIGSEGV' } });
    expect(count('c', 'exited', '0')).toBe(true);
    expect(ends()).toEqual({ crashes: 3, invocation: 'c', exit: { code: 0, signal: null } });
  });

  it('is not counted when the updater ordered the end of that very run', () => {
    writeFileSync(layout.agentStopping, 'b');
    expect(count('b', 'killed', 'TERM')).toBe(false);
    expect(count('c', 'killed', 'TERM')).toBe(true);
    expect(ends()).toMatchObject({ crashes: 1, invocation: 'c' });
  });

  it('is none when nothing of the agent had been started', () => {
    expect(count('a', '', '')).toBe(false);
    expect(count('', 'exited', '1')).toBe(false);
    expect(ends().crashes).toBe(0);
  });

  it.each(['garbage', '', '[]', '{"crashes":"3","invocation":"a"}', '{"crashes":3}', `"${'x'.repeat(10_000)}"`])(
    'is counted from nothing where the file holds %.20s',
    (text) => {
      writeFileSync(layout.agentEnds, text);
      expect(ends()).toEqual({ crashes: 0, invocation: null, exit: null });
      expect(count('a', 'exited', '1')).toBe(true);
      expect(ends().crashes).toBe(1);
    },
  );

  it('is counted from nothing where a directory lies in its place, which steps aside', () => {
    mkdirSync(layout.agentEnds);
    expect(ends().crashes).toBe(0);
    expect(existsSync(`${layout.agentEnds}.damaged`)).toBe(true);
    expect(count('a', 'dumped', 'ABRT')).toBe(true);
    expect(ends().exit).toEqual({ code: null, signal: 'SIGABRT' });
  });
});
