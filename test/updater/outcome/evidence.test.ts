import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { evidenceLines, evidenceShape, evidenceSummary } from '../../../protocol/evidence.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { type Row, rows } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { change } from '../../../updater/machine/transaction.ts';
import { keepEvidence, keepUpdaterEvidence } from '../../../updater/outcome/evidence.ts';
import { keptEvidence } from '../../../updater/outcome/kept-evidence.ts';
import { recordOutcome } from '../../../updater/outcome/outcome.ts';
import { markRow, timelineOf } from '../../../updater/outcome/timeline.ts';
import { startTrial } from '../../../updater/transaction/switch.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  for (const path of [layout.run, layout.evidence]) mkdirSync(path, { recursive: true });
});
const crashed = { state: 'failed', pid: null, crashes: 3, lastExit: { code: 1, signal: null } } as const;
const reverting = () => stateIn('reverting');
const output = `first words\n${'x'.repeat(15_000)}\nTypeError: no such key\n    at main.js:1:1\n\nNode.js v26`;

describe('the evidence of a failed trial', () => {
  it('is exit, head and tail of the last output, and the timeline over a restart and a reboot', async () => {
    const made = testAppliance(layout);
    const { appliance, clock, processes } = made;
    processes.facts = { ...crashed, lastOutput: output };
    for (const row of ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial'] as Row[]) {
      markRow(appliance, stateIn(row));
      clock.nowMs += 500;
    }
    clock.boot = '00000000-0000-4000-8000-000000000002';
    clock.nowMs = 40_000;
    markRow(testAppliance(layout).appliance, stateIn('trial')); // another process, with a clock of its own
    markRow(appliance, reverting());
    const seen = await keepEvidence(appliance, reverting());
    expect(seen.exit).toEqual({ code: 1, signal: null });
    expect(seen.output).toMatch(/^first words/);
    expect(seen.output).toMatch(/no such key/);
    const told = seen.timeline.map(({ row, bootsBefore, ms }) => `${row} ${bootsBefore} ${ms}`);
    expect(told.slice(0, 3)).toEqual(['resolved 0 0', 'fetching 0 500', 'writing 0 1000']);
    expect(told.at(-1)).toBe('reverting 1 0');
    expect(evidenceSummary(seen)).toBe('Its last exit was code 1; it said last: TypeError: no such key.');
    expect(evidenceLines(seen).at(-2)).toContain('after a reboot: reverting 0.0 s');
    expect(keptEvidence(realFiles, layout, reverting().lastTx)).toEqual(seen);
  });

  it('has no exit of a version that lives: the one that is known was the version before', async () => {
    const { appliance, processes } = testAppliance(layout);
    processes.facts = { ...crashed, state: 'active', pid: 7, lastExit: { code: 0, signal: null }, lastOutput: '' };
    expect((await keepEvidence(appliance, reverting())).exit).toBeNull();
  });

  it('shows nothing of a version for another: what ended before the trial began is no end of it', async () => {
    const { appliance, processes } = testAppliance(layout);
    const before = { ...crashed, lastOutput: 'words of the version before' };
    processes.facts = before;
    await startTrial(appliance, stateIn('armed'));
    for (const facts of [{ ...before, state: 'active', pid: 7 } as const, before]) {
      processes.facts = facts;
      rmSync(layout.evidence, { recursive: true });
      expect(await keepEvidence(appliance, reverting())).toMatchObject({ exit: null, output: '' });
    }
    // Started once more, after an end of its own.
    processes.facts = { ...before, crashes: 4, state: 'active', pid: 9, lastOutput: 'words of its own' };
    rmSync(layout.evidence, { recursive: true });
    await startTrial(appliance, stateIn('armed'));
    expect(await keepEvidence(appliance, reverting())).toMatchObject({
      exit: { code: 1, signal: null },
      output: 'words of its own',
    });
  });

  it('shows the ends of one updater for that one alone', async () => {
    const made = testAppliance(layout);
    const appliance = {
      ...made.appliance,
      processes: Object.assign(made.processes, { updaterOutput: () => Promise.resolve('words') }),
    };
    const state = reverting();
    const exit = { code: 3, signal: null };
    const ends = (slot: string) => JSON.stringify({ slot, failures: 1, invocation: 'one', exit });
    for (const [slot, seen] of [
      ['factory', { exit: null, output: '' }],
      [state.transaction?.slot ?? '', { exit, output: 'words' }],
    ] as const) {
      writeFileSync(layout.updaterEnds, ends(slot));
      rmSync(layout.evidence, { recursive: true, force: true });
      expect(await keepUpdaterEvidence(appliance, state)).toMatchObject(seen);
    }
  });

  it('is cut with an ellipsis, and never by half a line that looks whole', () => {
    const seen = evidenceShape.parse({
      exit: { code: 1, signal: null },
      output: `Error: ${'x'.repeat(500)}\n    at a:1`,
    });
    expect(evidenceSummary(seen)).toMatch(/x…$/);
    expect(evidenceSummary(seen).length).toBeLessThanOrEqual(240);
  });

  it('names the file that has all of it, where it is cut: in the output, and in a line of every view', async () => {
    const { appliance, processes } = testAppliance(layout);
    const lastOutput = `first words ${'x'.repeat(5_000)} last words`;
    processes.facts = { ...crashed, lastOutput };
    const seen = await keepEvidence(appliance, reverting());
    const whole = `updater/evidence/${reverting().lastTx}/verdict.json`;
    expect(seen.output).toMatch(
      new RegExp(`^first words x+\n… .* left out; all of it is in ${whole} …\nx+ last words$`),
    );
    expect(evidenceLines(seen).at(-1)).toBe(`in full: ${whole} on the appliance`);
    expect(JSON.parse(readFileSync(join(layout.root, whole), 'utf8'))).toMatchObject({ output: lastOutput });
  });

  it('of an updater names it, too, and the file has all that it wrote', async () => {
    const { appliance, processes } = testAppliance(layout);
    const written = `first words ${'x'.repeat(5_000)} last words`;
    processes.updaterOutput = async () => written;
    const ends = { failures: 1, invocation: 'one', exit: { code: 3, signal: null } };
    writeFileSync(layout.updaterEnds, JSON.stringify({ ...ends, slot: reverting().transaction?.slot }));
    const seen = await keepUpdaterEvidence(appliance, reverting());
    const whole = `updater/evidence/${reverting().lastTx}/verdict.json`;
    expect(seen.output).toContain(`all of it is in ${whole}`);
    expect(JSON.parse(readFileSync(join(layout.root, whole), 'utf8'))).toMatchObject({ output: written });
  });

  it('is that of the first look: a repeated step finds the processes gone', async () => {
    const { appliance, processes } = testAppliance(layout);
    processes.facts = { ...crashed, lastOutput: 'last words' };
    const first = await keepEvidence(appliance, reverting());
    processes.facts = { state: 'inactive', pid: null, crashes: 0, lastExit: null, lastOutput: '' };
    expect(await keepEvidence(appliance, reverting())).toEqual(first);
  });

  it('is kept of the newest five, by number and not by name; what is no evidence stays', async () => {
    const { appliance } = testAppliance(layout);
    for (const name of ['2', '3', '9', '10', '11', '12', 'notes']) mkdirSync(join(layout.evidence, name));
    const state = change(reverting(), { tx: 100 });
    await keepEvidence(appliance, state);
    expect(readdirSync(layout.evidence).sort()).toEqual(['10', '100', '11', '12', '9', 'notes']);
    expect(existsSync(join(layout.evidence, '100', 'verdict.json'))).toBe(true);
  });

  it('goes out in the report where the disk is full, and going back does not wait for it', async () => {
    const full = withOperations({
      create: () => {
        throw systemError('ENOSPC');
      },
    });
    const { appliance, processes, lines } = testAppliance(layout, full);
    processes.facts = { ...crashed, lastOutput: 'last words' };
    markRow(appliance, reverting());
    const seen = await keepEvidence(appliance, reverting());
    expect([seen.output, seen.whole]).toEqual(['last words', undefined]);
    expect(lines.join('\n')).toContain('there is no space for the evidence');
    expect(lines.join('\n')).toContain('the timeline cannot be written');
  });

  it('is sent with the rollback, within what a check-in can carry, whatever was printed', async () => {
    const { appliance, processes } = testAppliance(layout);
    processes.facts = { ...crashed, lastOutput: '\u0001'.repeat(16_000) };
    for (const row of rows) markRow(appliance, { ...stateIn('trial'), row });
    const state = reverting();
    const evidence = await keepEvidence(appliance, state);
    const end = { outcome: 'rolled-back', reason: 'stalled', downMs: null, revertedMs: null, evidence } as const;
    if (state.transaction === null) throw new RangeError('no transaction');
    recordOutcome(appliance, state, state.transaction, { ...end, text: '\u0001'.repeat(1_900) });
    const [event] = appliance.events.next();
    expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(9 * 1024 + 1);
    expect(event?.release?.evidence?.exit).toEqual({ code: 1, signal: null });
    expect(event?.release?.evidence?.timeline?.length).toBeGreaterThan(0);
  });
});

describe('the timeline', () => {
  it('begins anew with each transaction, is bounded, and keeps its begin and its end', () => {
    const { appliance, clock } = testAppliance(layout);
    markRow(appliance, change(stateIn('resolved'), { tx: 6 }));
    markRow(appliance, stateIn('resolved'));
    expect(timelineOf(appliance, 6)).toEqual([]);
    for (let restart = 0; restart < 300; restart += 1) {
      clock.nowMs += 10;
      markRow(appliance, stateIn('trial'));
    }
    const marks = timelineOf(appliance, stateIn('trial').lastTx);
    expect(marks.length).toBeLessThanOrEqual(24);
    expect(marks[0]).toEqual({ row: 'resolved', bootsBefore: 0, ms: 0 });
    expect(marks.at(-1)?.ms).toBe(3_000);
    expect(readFileSync(join(layout.updater, 'timeline.jsonl')).length).toBeLessThan(12_000);
  });

  it('is read where a power cut left half a line', () => {
    const { appliance } = testAppliance(layout);
    markRow(appliance, stateIn('resolved'));
    const path = join(layout.updater, 'timeline.jsonl');
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"tx":7,"row":"fet`);
    expect(timelineOf(appliance, stateIn('resolved').lastTx)).toHaveLength(1);
    markRow(appliance, stateIn('fetching'));
    markRow(appliance, stateIn('writing'));
    expect(timelineOf(appliance, stateIn('resolved').lastTx).map(({ row }) => row)).toContain('writing');
  });
});
