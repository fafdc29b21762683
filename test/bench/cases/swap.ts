import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { execa } from 'execa';
import { realClock } from '../../../updater/effects/clock.ts';
import { readHealth } from '../../../updater/watch/agent-health.ts';
import type { ApplianceBox } from '../../support/world/appliance-box.ts';
import type { Built } from '../../support/world/builder.ts';
import { nodeBinary } from '../../support/world/checkout.ts';
import { until } from '../../support/world/wait.ts';
import { World } from '../../support/world/world.ts';
import { type Measured, medianOf } from '../result.ts';
import { type Spent, spentBy, syncedCopyMs } from '../swap/timing.ts';

/**
 * What an appliance pays for its updater: each start of launch and of the updater, on emitted JavaScript and the runtime that
 * ships; and how long it stands still for a switch, good or bad, with 100 MB of state. Under the development supervisor.
 */
const starts = 15;
const switches = 3;
const stateMegabytes = 100;
const dayS = 86_400;
const waitMs = 120_000;
const lookEveryMs = 10;
const isRoot = process.getuid?.() === 0;

interface Bench {
  readonly world: World;
  readonly box: ApplianceBox;
  readonly tell: (measured: Omit<Measured, 'bench'>) => void;
  readonly progress: (text: string) => void;
}

export async function run(tell: (measured: Measured) => void, progress: Bench['progress']): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-bench-swap-'));
  const world = new World(dir, nodeBinary);
  try {
    await world.found('1.0.52', 0.5);
    const box = await world.addAppliance('bench', {
      timerMs: dayS * 1_000,
      trial: { healthyMs: 300, deadlineMs: 60_000 },
      settings: { sampleMs: 100, stallMs: 30_000, answerMs: 30_000, graceMs: 10_000 },
    });
    await runOnMemory(box);
    await box.powerOn();
    await until('the first check-in', waitMs, async () => (await box.status()).checkIn.last);
    const bench: Bench = { world, box, progress, tell: (measured) => tell({ bench: 'swap', ...measured }) };
    progress(`load before: ${loadavg().join(' ')}`);
    await benchStarts(bench);
    await box.powerOff();
    fillState(box);
    await box.powerOn();
    await benchSwitches(bench);
    progress(`load after: ${loadavg().join(' ')}`);
  } finally {
    await world.end();
    for (const { layout } of isRoot ? world.appliances : []) await execa('umount', [layout.run]);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** `run/` is a tmpfs on an appliance: what is written there costs no disk. As root; otherwise it lies on the disk. */
async function runOnMemory({ layout }: ApplianceBox): Promise<void> {
  if (!isRoot) return;
  mkdirSync(layout.run, { recursive: true });
  await execa('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', layout.run]);
}

/** Says of the last answer when the next check-in is due: `run` is then a local one, or one that asks the server. */
function dueIn(box: ApplianceBox, seconds: number): void {
  const path = join(box.layout.run, 'last-answer.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), nextInS: seconds, paceS: seconds }));
}

async function benchStarts({ world, box, tell, progress }: Bench): Promise<void> {
  const node = join(world.os, 'node');
  const updater = ['--max-semi-space-size=1', join(world.os, 'updater', 'main.js'), 'run', '--root', box.options.root];
  await until('the server has every event', waitMs, async () => {
    dueIn(box, 0);
    await execa(node, updater);
    // An appliance that nothing happened on has no such file.
    if (!existsSync(box.layout.events)) return true;
    return JSON.parse(readFileSync(box.layout.events, 'utf8')).waiting.length === 0 ? true : null;
  });
  const launch = [join(world.os, 'launch.js'), 'count', 'app', '--root', box.options.root];
  const cases: readonly (readonly [name: string, args: readonly string[], prepare: () => void])[] = [
    ['node', ['-e', '0'], () => undefined],
    ['launch count', launch, () => undefined],
    ['idle local run', updater, () => dueIn(box, dayS)],
    ['run with check-in', updater, () => dueIn(box, 0)],
  ];
  const spent = new Map<string, Spent[]>(cases.map(([name]) => [name, []]));
  // launch by itself: what it counts is a start that no agent answers for, and the updater would wait for that answer.
  for (const isOfLaunch of [false, true]) {
    for (let round = 0; round < starts; round += 1) {
      for (const [name, args, prepare] of cases) {
        if (name !== 'node' && (name === 'launch count') !== isOfLaunch) continue;
        spent.get(name)?.push(await spentBy(node, args, prepare));
      }
    }
  }
  const median = (name: string, what: keyof Spent) => medianOf((spent.get(name) ?? []).map((one) => one[what]));
  const targets: Readonly<Record<string, Partial<Record<keyof Spent, number>>>> = {
    'launch count': { wallMs: 60 },
    'idle local run': { wallMs: 150, cpuMs: 150 },
    'run with check-in': { cpuMs: 300 },
  };
  for (const [name] of cases) {
    for (const what of ['wallMs', 'cpuMs'] as const) {
      const value = median(name, what);
      const metric = what === 'wallMs' ? 'time' : 'cpu';
      const atMost = targets[name]?.[what];
      tell({ case: name, metric, value, unit: 'ms', ...(atMost === undefined ? {} : { atMost }) });
      if (name === 'node') continue;
      // How it stands to the bare runtime in this very run, whatever else the machine does.
      tell({
        case: name,
        metric: `${metric} against node`,
        value,
        unit: 'ms',
        peer: { name: 'node -e 0', value: median('node', what) },
      });
    }
  }
  tell({
    case: 'idle',
    metric: 'resident processes',
    value: box.processes('main.js run').length,
    unit: 'processes',
    atMost: 0,
  });
  progress(`starts: ${JSON.stringify(Object.fromEntries(spent))}`);
}

/** Rows that do not compress, in a table that the agent does not look at. */
function fillState(box: ApplianceBox): void {
  const database = new DatabaseSync(box.layout.stateDb);
  database.exec('CREATE TABLE bench_filler (bytes BLOB)');
  database.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${stateMegabytes})
     INSERT INTO bench_filler SELECT randomblob(1000000) FROM n`,
  );
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}

async function benchSwitches({ world, box, tell, progress }: Bench): Promise<void> {
  const crashing = await world.builder.app('1.0.40');
  const copies: number[] = [];
  const down: number[] = [];
  const verdicts: number[] = [];
  const returns: number[] = [];
  for (let round = 0; round < switches; round += 1) {
    await serving(box, null);
    const good = await world.builder.unpatched(`2.0.${round}`);
    copies.push(syncedCopyMs(box.layout.stateDb, join(box.layout.root, 'copy')));
    await install(box, good);
    const line = (await box.status()).transactions.at(-1);
    if (line?.to !== good.version || line.downMs === null) throw new Error(`${good.version} was not committed`);
    down.push(line.downMs);
    const { verdictMs, backMs } = await failedTrial(box, crashing, good.version);
    verdicts.push(verdictMs);
    returns.push(backMs);
    progress(`switch ${round + 1} of ${switches}: ${JSON.stringify({ copies, down, verdicts, returns })}`);
  }
  const [copy, standstill] = [medianOf(copies), medianOf(down)];
  const state = `good update, ${stateMegabytes} MB of state`;
  const failed = `crash at each start, ${stateMegabytes} MB of state`;
  tell({ case: state, metric: 'one synced copy of the state', value: copy, unit: 'ms' });
  tell({ case: state, metric: 'downtime', value: standstill, unit: 'ms', peer: { name: 'synced copy', value: copy } });
  tell({ case: state, metric: 'downtime beyond a synced copy', value: standstill - copy, unit: 'ms', atMost: 500 });
  tell({
    case: failed,
    metric: 'first start to verdict, three tries',
    value: medianOf(verdicts),
    unit: 'ms',
    atMost: 3_000,
  });
  tell({
    case: failed,
    metric: 'verdict to the old version serving',
    value: medianOf(returns),
    unit: 'ms',
    atMost: 500,
  });
}

async function install(box: ApplianceBox, { path }: Built): Promise<void> {
  const { os, root } = box.options;
  // A failed trial ends it with a status of its own.
  await execa(join(os, 'node'), [join(os, 'updater', 'main.js'), 'install', path, '--root', root], { reject: false });
}

/** The monotonic time at which the agent answers; null: whichever version. */
async function serving(box: ApplianceBox, version: string | null): Promise<number> {
  for (
    const startedMs = realClock.monoMs();
    realClock.monoMs() - startedMs < waitMs;
    await realClock.delay(lookEveryMs)
  ) {
    const { answer } = await readHealth(box.layout.agentSocket);
    if (answer !== null && (version === null || answer.version === version)) return realClock.monoMs();
  }
  throw new Error(`${version} does not serve`);
}

async function failedTrial(box: ApplianceBox, release: Built, before: string) {
  const log = join(box.config.logs, 'updater.log');
  const said = readFileSync(log, 'utf8').length;
  const installing = install(box, release);
  const at = (what: string): number | null => {
    const found = new RegExp(`^([\\d.]+) ${what}`, 'm').exec(readFileSync(log, 'utf8').slice(said));
    return found === null ? null : Number(found[1]);
  };
  const verdictAt = await until('the verdict', waitMs, () => at('trial -> reverting'));
  const servingAt = await serving(box, before);
  await installing;
  // launch is called when the row is armed: the first start, and everything up to the third exit, lies behind it.
  return { verdictMs: verdictAt - (at('armed -> trial') ?? Number.NaN), backMs: servingAt - verdictAt };
}
