import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { stateOf } from '../support/killing/look.ts';
import { thinRuntime } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';
import { type Bundles, Lane, planStrike } from './lane.ts';
import { randomOf } from './random.ts';
import { checkRecords, outcomesOf } from './records.ts';
import { Tally } from './tally.ts';

/**
 * `npm run soak -- --cycles N`: real processes, killed again and again, while good and bad releases come and go. One
 * JSON object on standard output; exits with 1 when a record was lost or an appliance did not come back.
 */
const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '50' },
    appliances: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
  },
});
const whole = z.coerce.number().int().min(1);
const [cycles, appliances, seed] = [values.cycles, values.appliances, values.seed].map((text) => whole.parse(text));
if (cycles === undefined || appliances === undefined || seed === undefined) throw new RangeError('no numbers');

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

async function releases(): Promise<Bundles> {
  const good = [];
  for (const version of ['2.0.1', '2.0.2', '2.0.3']) good.push(await world.builder.unpatched(version));
  const bad = [];
  for (const version of ['1.0.40', '1.0.43', '1.0.61']) bad.push(await world.builder.app(version));
  await world.publish(...good);
  return { good, bad };
}

async function found(): Promise<Lane[]> {
  await world.found('1.0.52', paceS);
  const bundles = await releases();
  const lanes: Lane[] = [];
  for (let index = 0; index < (appliances ?? 1); index += 1) {
    const trial = { healthyMs: 300, deadlineMs: 15_000 };
    const settings = { sampleMs: 100, stallMs: 1_500, rollbackWindowMs: 2_000 };
    const box = await world.addAppliance(`soak-${index}`, {
      timerMs: 1_000,
      trial,
      settings,
      pagePort: pagePortFirst + index,
    });
    await box.powerOn();
    lanes.push(new Lane(box, bundles, randomOf((seed ?? 1) * 1_000 + index)));
  }
  return lanes;
}

let serverIsMended: Promise<void> = Promise.resolve();

async function killServer(lane: Lane): Promise<void> {
  const port = Number(new URL(world.server.url).port);
  await world.server.stop('SIGKILL');
  tally.count('server', stateOf(lane.box).row);
  await delay(serverAwayMs);
  await world.server.start(port, paceS);
}

async function soak(lane: Lane, random: () => number): Promise<void> {
  await lane.rests();
  while (tally.cycles < (cycles ?? 0) && troubles.length === 0) {
    const plan = planStrike(random, tally);
    const row = await lane.strike(plan);
    if (row !== null) tally.count(plan.victim, row);
    if (tally.cycles % serverEvery === serverEvery - 1) {
      // One at a time, whichever appliance it was that counted.
      serverIsMended = serverIsMended.then(() => killServer(lane));
      await serverIsMended;
    }
    await lane.rests();
    process.stderr.write(`${tally.cycles}/${cycles} ${lane.box.options.name} ${plan.flow} ${plan.victim} ${row}\n`);
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

const startedMs = performance.now();
try {
  const lanes = await found();
  const beganMs = performance.now();
  await Promise.all(
    lanes.map((lane, index) =>
      soak(lane, randomOf((seed ?? 1) + index)).catch((error: unknown) => {
        troubles.push(error instanceof Error ? error.message : String(error));
      }),
    ),
  );
  const seconds = (performance.now() - beganMs) / 1000;
  await serverIsMended;
  if (troubles.length === 0) await Promise.all(lanes.map(settled));
  await Promise.all(lanes.map((lane) => lane.box.powerOff()));
  await world.server.stop();
  const checks = lanes.map((lane) => checkRecords(lane.box, world.server.dir));
  const lost = checks.flatMap((check) => check.lost);
  const result = {
    seed,
    cycles: tally.cycles,
    seconds: Math.round(seconds),
    cyclesPerMinute: Math.round((tally.cycles / seconds) * 60),
    setUpSeconds: Math.round((beganMs - startedMs) / 1000),
    kills: tally.byVictim,
    killsByRow: tally.byRow,
    outcomes: outcomesOf(world.server.dir),
    recordsChecked: checks.reduce((sum, { checked }) => sum + checked, 0),
    lost,
    troubles,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = lost.length === 0 && troubles.length === 0 && tally.cycles >= cycles ? 0 : 1;
} finally {
  await world.end();
  if (process.exitCode === 0) rmSync(dir, { recursive: true, force: true });
  else process.stderr.write(`what is left to look at: ${dir}\n`);
}
