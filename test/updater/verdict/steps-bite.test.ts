import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** What the steps of the verdict do with files, clocks and sockets: each defect fails the test that names its clause. */
const root = join(import.meta.dirname, '../../..');
const directory = mkdtempSync(join(tmpdir(), 'holdfast-steps-'));
const vitest = join(root, 'node_modules/vitest/vitest.mjs');

interface Defect {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly test: string;
  /** The test that fails, by its name or the beginning of it. */
  readonly seenBy: string;
}

const inJudge = { file: 'updater/transaction/judge.ts', test: 'test/updater/transaction/judge.test.ts' };
const inDefer = { file: 'updater/transaction/defer.ts', test: 'test/updater/transaction/defer.test.ts' };
const inSwitch = { file: 'updater/transaction/switch.ts', test: 'test/updater/transaction/defer.test.ts' };

const defects: readonly Defect[] = [
  {
    ...inJudge,
    name: 'healthy time that only memory has',
    from: '>= persistEveryMs',
    to: '>= 10 * persistEveryMs',
    seenBy: 'puts healthy time on disk every two seconds',
  },
  {
    ...inJudge,
    name: 'a start that is not put on disk',
    from: '...(start === null ? {} : { start }),',
    to: '',
    seenBy: 'that was killed gives the next start none of the time of the one before',
  },
  {
    ...inJudge,
    name: 'a migration that is not put on disk',
    from: '...(migratingMs === 0 ? {} : { migratingMs: Math.round(migratingMs) }),',
    to: '',
    seenBy: 'fails after that time, also when the judge is killed in between',
  },
  {
    ...inJudge,
    name: 'a start of another version that the server saw',
    from: 'seen?.version === version ? seen.checkIns : 0',
    to: 'seen?.checkIns ?? 0',
    seenBy: 'that has seen another version does not vouch',
  },
  {
    ...inJudge,
    name: 'a server that is not asked anew',
    from: 'if (verdict.asksServer) memory.forced = true;',
    to: '',
    seenBy: 'that asked for an hour is asked again when only its word is missing',
  },
  {
    ...inJudge,
    name: 'a judge that waits for the server',
    from: 'await Promise.race([memory.reporting.done, patience]);',
    to: 'await memory.reporting.done;',
    seenBy: 'that keeps a check-in waiting does not keep the judge from a crash loop',
  },
  {
    ...inJudge,
    name: 'time that nobody saw',
    from: 'Math.min(gapMs, Math.max(0, now - memory.trialLookedMs))',
    to: 'Math.max(0, now - memory.trialLookedMs)',
    seenBy: 'counts at most two seconds that it did not see, or five looks',
  },
  {
    file: 'updater/watch/agent-health.ts',
    test: inJudge.test,
    name: 'an answer of any size',
    from: 'if (size > healthBytesMax)',
    to: 'if (size > 100 * healthBytesMax)',
    seenBy: 'takes no answer that is larger than it may be',
  },
  {
    file: 'updater/machine/not-compared.ts',
    test: inJudge.test,
    name: 'a missing baseline that nobody is told of',
    from: '!rulesOf(transaction.component).stopsAgent || transaction.baseline !== null',
    to: 'rulesOf(transaction.component).stopsAgent || transaction.baseline !== null',
    seenBy: 'says in why that nothing can be compared',
  },
  {
    ...inDefer,
    name: 'a deferral without an end',
    from: 'if (leftMs === 0 || !counted) {',
    to: 'if (!counted) {',
    seenBy: 'is waited for a day of running in all, and no longer',
  },
  {
    ...inDefer,
    name: 'a deferral that a reboot forgets',
    from: 'replaceJson(files, layout.deferred, { releases }, 0o600)',
    to: 'replaceJson(files, join(layout.run, now.boot), { releases }, 0o600)',
    seenBy: 'does not get a new day by a reboot',
  },
  {
    ...inDefer,
    name: 'a deferral that cannot be counted',
    from: 'if (leftMs === 0 || !counted) {',
    to: 'if (leftMs === 0) {',
    seenBy: 'is not waited for where that cannot be counted',
  },
  {
    ...inDefer,
    name: 'a closed window that is charged to the agent',
    from: "    // Time in which the window is closed anyway is not the agent's.\n    forgetLook(appliance);",
    to: '',
    seenBy: 'is not charged for time in which the window was closed',
  },
  {
    ...inDefer,
    name: 'time without asking that is charged to the agent',
    from: '  if (!isClosed && answer.inhibit === null) {\n    forgetLook(appliance);',
    to: '  if (!isClosed && answer.inhibit === null) {',
    seenBy: 'is not charged for time in which it did not ask',
  },
  {
    ...inDefer,
    name: 'an agent that is waited for whatever it is',
    from: 'if (!isHealthy(appliance, state, answer)) {',
    to: 'if (openForS < 0 && !isHealthy(appliance, state, answer)) {',
    seenBy: 'an agent that answers while its work stands still',
  },
  {
    ...inDefer,
    name: 'a person who waits for the agent',
    from: 'if (hasRequest(appliance)) {',
    to: 'if (openForS < 0 && hasRequest(appliance)) {',
    seenBy: 'an agent that asks when a person asks for something',
  },
  {
    ...inDefer,
    name: 'words that nobody cleaned',
    from: 'const words = cleanWords(said);',
    to: 'const words = said === cleanWords(said) ? null : said;',
    seenBy: 'can say nothing that moves a page or a terminal',
  },
  {
    ...inSwitch,
    name: 'a file that waits',
    from: 'if (transaction.waits && ours !== null) {',
    to: 'if (ours !== null) {',
    seenBy: 'an agent when somebody brought a file',
  },
  {
    ...inSwitch,
    name: 'an answer of anybody',
    from: 'answer !== null && answer.nonce === currentNonce(files, layout) ? answer : null',
    to: 'answer',
    seenBy: 'an answer that is not of what launch started',
  },
  {
    ...inSwitch,
    name: 'a switch that nothing holds',
    from: "if (hold !== 'go')",
    to: "if (hold === 'left')",
    seenBy: 'is waited for, and everybody can read for what and for how long',
  },
];

beforeAll(() => {
  const parts = ['protocol', 'updater', 'test/updater', 'test/support', 'test/tiers', 'package.json', 'tsconfig.json'];
  for (const part of [...parts, 'vitest.config.ts'])
    cpSync(join(root, part), join(directory, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function run(test: string, name: string) {
  const args = [vitest, 'run', test, '--maxWorkers=1', '-t', name];
  return execa(process.execPath, args, { cwd: directory, reject: false, all: true, env: { NO_COLOR: '1' } });
}

/** Patches the copy, and takes the patch back afterwards. @throws when it does not fit exactly once */
async function planted<T>({ file, from, to }: Defect, look: () => Promise<T>): Promise<T> {
  const path = join(directory, file);
  const before = readFileSync(path, 'utf8');
  if (before.split(from).length !== 2) throw new RangeError(`${file} does not have ${from} exactly once`);
  writeFileSync(
    path,
    before.replace(from, () => to),
  );
  try {
    return await look();
  } finally {
    writeFileSync(path, before);
  }
}

describe('planted in a copy of the steps', () => {
  it.each(defects)('$name is seen: $seenBy', async (defect) => {
    const { exitCode, all } = await planted(defect, () => run(defect.test, defect.seenBy));
    expect(all).toMatch(/FAIL .*transaction\//);
    expect(all).toContain('1 failed');
    expect(exitCode).toBe(1);
  });

  it('nothing is seen where nothing is planted, and each of those tests is there', async () => {
    for (const file of new Set(defects.map(({ test }) => test))) {
      const names = defects.filter(({ test }) => test === file).map(({ seenBy }) => seenBy);
      const { exitCode, all } = await run(file, names.join('|'));
      expect(exitCode, all).toBe(0);
      expect(all).toContain(`${new Set(names).size} passed`);
    }
  });
});
