import { describe, expect, it } from 'vitest';
import type { AgentFacts } from '../../../updater/processes/process-control.ts';
import { verdictWord } from '../../../updater/status/publish-status.ts';
import type { Working } from '../../../updater/verdict/standstill.ts';
import { idleState, stateIn } from '../support/states.ts';

const active: AgentFacts = { state: 'active', pid: 7, crashes: 0, lastExit: null, lastOutput: '' };
const working: Working = { word: 'works' };

describe('the word for an appliance', () => {
  it.each([
    ['ok', 'runs and never crashed', 0, active],
    ['attention', 'crashed once and runs again', 1, active],
    ['blocked', 'crashed once and is down', 1, { ...active, state: 'failed' as const, pid: null }],
    ['blocked', 'crashes again and again, and runs at this moment', 2, active],
    ['unknown', 'is not known of', 0, null],
  ])('is %s where its agent %s', (word, _what, crashes, agent) => {
    expect(verdictWord(idleState(), agent, crashes, working, false)).toBe(word);
  });

  it('is that of the transaction while one is under way, whatever the agent did', () => {
    expect(verdictWord(stateIn('trial'), active, 3, working, false)).toBe('trial');
  });
});
