import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeReleaseFixture } from '../support/bundle-fixture.ts';
import { enumerateKind, type KindReport } from './enumerate-kind.ts';
import { buildReleases, kindsOf } from './kinds.ts';
import { HealthSocket } from './model-agent.ts';
import { modelLayout } from './model-appliance.ts';

/** `npm run crash`: every state that a power cut may leave, at every step of the production loop and launch. */
const { values } = parseArgs({
  options: {
    kind: { type: 'string' },
    seed: { type: 'string', default: '1' },
    'budget-s': { type: 'string', default: '540' },
    samples: { type: 'string', default: '12' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(`npm run crash -- [--kind NAME] [--seed N] [--budget-s S] [--samples N]
  --kind       one of: first start, install from file, failed trial, rollback by hand, closing
  --seed       which samples are drawn where more than 6 things are undecided
  --budget-s   seconds for all kinds; second cuts stop when their share is over, first ones never
  --samples    of the images of one such moment, beside the ends and each single loss\n`);
  process.exit(0);
}
const directory = mkdtempSync(join(tmpdir(), 'hfc-'));
const fixture = await makeReleaseFixture();
const socket = await HealthSocket.listen(join(directory, 'agent.sock'));
const layout = modelLayout(join(directory, 'agent.sock'));
const kinds = await kindsOf(fixture, await buildReleases(fixture), layout, socket);
const chosen = kinds.filter(({ name }) => values.kind === undefined || name === values.kind);
if (chosen.length === 0) throw new RangeError(`there is no kind ${values.kind}`);
const reports: KindReport[] = [];
for (const kind of chosen) {
  const budgetMs = (Number(values['budget-s']) * 1000) / chosen.length;
  const options = { seed: Number(values.seed), samples: Number(values.samples), budgetMs };
  const report = await enumerateKind(kind, layout, socket, options);
  reports.push(report);
  const { name, prefixes, sampled, states, seconds, violations } = report;
  process.stdout.write(
    `${name}: ${prefixes} prefixes (${sampled} of them sampled), ${states} states, ${seconds} of them after a second cut, ${violations.length} violations\n`,
  );
  for (const violation of violations.slice(0, 20)) process.stdout.write(`  ${JSON.stringify(violation)}\n`);
}
await socket.close();
fixture[Symbol.dispose]();
rmSync(directory, { recursive: true });
const sum = (count: (report: KindReport) => number) => reports.reduce((all, report) => all + count(report), 0);
const violations = sum((report) => report.violations.length);
process.stdout.write(`states=${sum((report) => report.states)} violations=${violations}\n`);
process.exitCode = violations === 0 ? 0 : 1;
