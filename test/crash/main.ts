import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { orUsage, wrongUsage } from '../support/usage.ts';
import { Claims } from './claims.ts';
import type { KindReport } from './enumerate-kind.ts';
import { kindNames, kindsOf } from './kinds.ts';
import { HealthSocket } from './model-agent.ts';
import { modelLayout } from './model-appliance.ts';
import { replay } from './replay.ts';
import { makeScenes, type Scenes } from './scenes.ts';
import type { Work } from './worker.ts';

/** `npm run crash`: every state that a power cut may leave, at every step of the production loop and launch. */
const deep = { 'budget-s': '14400', samples: '200' } as const;
const usual = { 'budget-s': '540', samples: '12' } as const;
const violationsShown = 20;

const help = `npm run crash -- [--kind NAME] [--seed N] [--budget-s S] [--samples N] [--threads N] [--deep] [--first]
npm run crash -- --replay CASE
  --kind       one of: ${kindNames.join(', ')}
  --seed       which samples are drawn where more than 6 things are undecided, and which second cuts come first
  --budget-s   seconds for all kinds; second cuts stop when their share is over, first ones never; what decides comes first
  --samples    of the images of one such moment, beside the ends and each single loss
  --deep       four hours, and more samples
  --first      ends each kind at its first violation
  --replay     a case that a violation printed: its cuts, what the updater says after them, and what is broken
`;

const { values } = orUsage(help, () => {
  return parseArgs({
    options: {
      kind: { type: 'string' },
      seed: { type: 'string', default: '1' },
      'budget-s': { type: 'string' },
      samples: { type: 'string' },
      threads: { type: 'string', default: String(Math.min(4, availableParallelism())) },
      deep: { type: 'boolean', default: false },
      first: { type: 'boolean', default: false },
      replay: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
});

/** One kind, as all threads saw it. */
function together(reports: readonly KindReport[]): KindReport {
  const [first] = reports;
  if (first === undefined) throw new RangeError('no thread reported');
  const sum = (count: (report: KindReport) => number) => reports.reduce((all, report) => all + count(report), 0);
  return {
    ...first,
    states: sum(({ states }) => states),
    seconds: sum(({ seconds }) => seconds),
    recoveryMoments: sum(({ recoveryMoments }) => recoveryMoments),
    recoveryCuts: sum(({ recoveryCuts }) => recoveryCuts),
    wholeCuts: sum(({ wholeCuts }) => wholeCuts),
    violations: reports.flatMap(({ violations }) => violations),
  };
}

function print({ name, violations, ...found }: KindReport): void {
  process.stdout.write(
    `${name}: ${found.prefixes} prefixes (${found.prefixes - found.sampled} complete, ${found.sampled} sampled), ` +
      `${found.states} states, ${found.seconds} of them after a second cut at ${found.recoveryCuts} of ` +
      `${found.recoveryMoments} moments of recovery (${found.wholeCuts} also with what only people are told), ` +
      `${violations.length} violations\n`,
  );
  for (const { token, sentence, steps } of violations.slice(0, violationsShown))
    process.stdout.write(`  ${sentence} (${steps.join(', then ')})\n    npm run crash -- --replay '${token}'\n`);
}

/** Runs every thread to its end, and prints each kind when all of them have it. */
async function enumerate(scenes: Scenes, names: readonly string[], directory: string): Promise<KindReport[]> {
  const preset = values.deep ? deep : usual;
  const { shared } = new Claims();
  const byName = new Map<string, KindReport[]>();
  const threads = Number(values.threads);
  const whole: KindReport[] = [];
  const run = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const workerData: Work = {
        scenes,
        shared,
        names,
        socket: join(directory, `${index}.sock`),
        stopAtFirst: values.first,
        seed: Number(values.seed),
        samples: Number(values.samples ?? preset.samples),
        budgetMs: Number(values['budget-s'] ?? preset['budget-s']) * 1000,
      };
      const resourceLimits = { maxOldGenerationSizeMb: 8_192 };
      const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, resourceLimits });
      worker.on('message', (report: KindReport) => {
        const reports = [...(byName.get(report.name) ?? []), report];
        byName.set(report.name, reports);
        if (reports.length < threads) return;
        whole.push(together(reports));
        print(together(reports));
      });
      worker.on('error', reject);
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a thread ended with ${code}`))));
    });
  await Promise.all(Array.from({ length: threads }, (_, index) => run(index)));
  return whole;
}

async function main(): Promise<number> {
  const names = kindNames.filter((name) => values.kind === undefined || name === values.kind);
  if (names.length === 0) wrongUsage(`there is no kind ${values.kind}; there are ${kindNames.join(', ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'hfc-'));
  const socket = await HealthSocket.listen(join(directory, 'main.sock'));
  try {
    const layout = modelLayout(join(directory, 'main.sock'));
    const scenes = await makeScenes(layout, socket);
    if (values.replay !== undefined) {
      const { steps, lines, broken } = await replay(kindsOf(scenes, layout, socket), values.replay);
      for (const step of steps) process.stdout.write(`cut before: ${step}\n`);
      for (const line of lines) process.stdout.write(`  ${line}\n`);
      for (const sentence of broken) process.stdout.write(`${sentence}\n`);
      process.stdout.write(`violations=${broken.length}\n`);
      return broken.length === 0 ? 0 : 1;
    }
    const reports = await enumerate(scenes, names, directory);
    const sum = (count: (report: KindReport) => number) => reports.reduce((all, report) => all + count(report), 0);
    const violations = sum((report) => report.violations.length);
    const [prefixes, sampled] = [sum((report) => report.prefixes), sum((report) => report.sampled)];
    process.stdout.write(`prefixes=${prefixes} complete=${prefixes - sampled} sampled=${sampled}\n`);
    process.stdout.write(`states=${sum((report) => report.states)} violations=${violations}\n`);
    return violations === 0 ? 0 : 1;
  } finally {
    await socket.close();
    rmSync(directory, { recursive: true });
  }
}

if (values.help) process.stdout.write(help);
else process.exitCode = await main();
