import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { exitDone, exitFailed } from '../../protocol/exit-status.ts';
import { stateOf } from '../support/killing/look.ts';
import { orUsage } from '../support/usage.ts';
import { thinRuntime } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';
import { Lane } from './lane.ts';
import { planStrike } from './plan.ts';
import { randomOf } from './random.ts';
import { checkRecords, outcomesOf } from './records.ts';
import { buildReleases } from './releases.ts';
import { sightOf } from './sight.ts';
import { Tally } from './tally.ts';

/**
 * `npm run soak -- --cycles N`: real processes, killed again and again, while good and bad releases come and go. One
 * JSON object on standard output; exits with 1 when a record was lost or an appliance did not come back.
 */
const usage = `npm run soak -- [--cycles N] [--appliances N] [--seed N]

Kills launch, updater, agent, server and page of real appliances with SIGKILL, or all of one appliance at once, while
good and bad releases of agent and updater come and go, and people go back, also to data of before.

  --cycles N      so many cycles in which something died (50); one in which nothing did does not count
  --appliances N  so many appliances at the same time (4)
  --seed N        what is chosen at random is chosen from this (1); real processes are never the same twice

Prints one JSON object: kills by process, by the row of the state table (killsByRow), and by the row of an update of the
updater itself (killsByUpdaterRow); how transactions of both ended; records checked between agent and server; readings,
each acknowledged one in one place: the agent's state or the factory agent's, what a failed trial left, or what was put
aside for data of before. Ends with 1 when one is lost, doubled or changed, or an appliance did not come back.
`;
const { values } = orUsage(usage, () => {
  return parseArgs({
    options: {
      cycles: { type: 'string', default: '50' },
      appliances: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(exitDone);
}
const whole = z.coerce.number().int().min(1);
const { cycles, appliances, seed } = orUsage(usage, () => {
  return z.object({ cycles: whole, appliances: whole, seed: whole }).parse(values);
});

const paceS = 0.5;
const pagePortFirst = 4_300;
/** A server that is killed stays away for this long. */
const serverAwayMs = 1_000;
/** One death of the server for so many of other things. */
const serverEvery = 12;
const settlesWithinMs = 60_000;

const dir = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
const world = new World(dir, thinRuntime(join(dir, 'thin')));
const tally = new Tally();
const troubles: string[] = [];

async function found(): Promise<Lane[]> {
  await world.found('1.0.52', paceS);
  const releases = await buildReleases(world);
  const lanes: Lane[] = [];
  for (let index = 0; index < (appliances ?? 1); index += 1) {
    const box = await world.addAppliance(`soak-${index}`, {
      timerMs: 2_000,
      trial: { healthyMs: 300, deadlineMs: 15_000 },
      settings: { sampleMs: 100, stallMs: 1_500 },
      pagePort: pagePortFirst + index,
    });
    await box.powerOn();
    lanes.push(new Lane(box, releases, randomOf((seed ?? 1) * 1_000 + index)));
  }
  return lanes;
}

/** Whoever does not want to wait for the rest sees what there is; it is not what was asked for, and the exit status says so. */
let isGivenUp = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    isGivenUp = true;
  });
}

let serverIsMended: Promise<void> = Promise.resolve();

async function killServer(lane: Lane): Promise<void> {
  const port = Number(new URL(world.server.url).port);
  await world.server.stop('SIGKILL');
  tally.count('server', lane.place);
  await delay(serverAwayMs);
  await world.server.start(port, paceS);
}

async function soak(lane: Lane, random: () => number): Promise<void> {
  await lane.rests();
  while (tally.cycles < (cycles ?? 0) && troubles.length === 0 && !isGivenUp) {
    const plan = planStrike(random, tally, lane.situation);
    const place = await lane.strike(plan);
    if (place !== null) tally.count(plan.victim, place);
    if (tally.cycles % serverEvery === serverEvery - 1) {
      // One at a time, whichever appliance it was that counted.
      serverIsMended = serverIsMended.then(() => killServer(lane));
      await serverIsMended;
    }
    await lane.rests(plan.flow);
    troubles.push(...lane.books.troubles);
    const struck = place === null ? 'nothing' : `${place.component} ${place.row}`;
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    process.stderr.write(
      `${tally.cycles}/${cycles} ${seconds} s ${lane.box.options.name} ${plan.flow} ${plan.victim} at ${plan.place.row}: ${struck}\n`,
    );
  }
}

/** The outcome of the last transaction has reached the server: from here on nothing but readings comes. */
async function settled(lane: Lane): Promise<void> {
  const { name } = lane.box.options;
  await until(`${name} has told how its last transaction ended`, settlesWithinMs, async () => {
    const { lastTx } = stateOf(lane.box);
    const told = await world.server.events(name);
    const aboutIt = z.object({ release: z.object({ tx: z.literal(lastTx) }) });
    return lastTx === 0 || told.some(({ body }) => aboutIt.safeParse(body).success) ? true : null;
  });
}

function troubleOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${String(error.cause)})`;
}

/** When all is powered off. */
function countedReadings(lanes: readonly Lane[]) {
  const sum = { checked: 0, state: 0, factory: 0, trial: 0, 'put-aside': 0 };
  for (const { books, box } of lanes) {
    books.look(sightOf(box));
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += books.counts[key];
  }
  const { checked, state, factory, trial, 'put-aside': putAside } = sum;
  return { checked, inState: state, inFactoryState: factory, leftByTrials: trial, putAside };
}

const startedMs = performance.now();
try {
  const lanes = await found();
  const beganMs = performance.now();
  await Promise.all(
    lanes.map((lane, index) =>
      soak(lane, randomOf(seed + index)).catch((error: unknown) => {
        troubles.push(troubleOf(error));
      }),
    ),
  );
  const seconds = (performance.now() - beganMs) / 1000;
  await serverIsMended;
  if (troubles.length === 0) await Promise.all(lanes.map(settled));
  await Promise.all(lanes.map((lane) => lane.box.powerOff()));
  await world.server.stop();
  const checks = lanes.map((lane) => checkRecords(lane.box, world.server.dir));
  const readings = countedReadings(lanes);
  const lost = [...checks.flatMap((check) => check.lost), ...lanes.flatMap(({ books }) => books.troubles)];
  const result = {
    seed,
    cycles: tally.cycles,
    seconds: Math.round(seconds),
    cyclesPerMinute: Math.round((tally.cycles / seconds) * 60),
    setUpSeconds: Math.round((beganMs - startedMs) / 1000),
    kills: tally.byVictim,
    killsByRow: tally.byRow,
    killsByUpdaterRow: tally.byUpdaterRow,
    outcomes: outcomesOf(world.server.dir, 'app'),
    updaterOutcomes: outcomesOf(world.server.dir, 'updater'),
    recordsChecked: checks.reduce((sum, { checked }) => sum + checked, 0),
    readings,
    lost,
    troubles,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = lost.length === 0 && troubles.length === 0 && tally.cycles >= cycles ? exitDone : exitFailed;
} finally {
  await world.end();
  if (process.exitCode === exitDone) rmSync(dir, { recursive: true, force: true });
  else process.stderr.write(`what is left to look at: ${dir}\n`);
}
