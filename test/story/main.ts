import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { profileDirectory } from '../../server-lite/cli/profile.ts';
import { orUsage } from '../support/usage.ts';
import type { World } from '../support/world/world.ts';
import { checks } from './checks.ts';
import type { Observations } from './observations.ts';
import {
  type Facts,
  gatherFacts,
  sceneControl,
  sceneCrash,
  sceneFix,
  sceneFleet,
  sceneNewest,
  sceneRollback,
} from './scenes.ts';
import { Screen } from './screen.ts';
import { type Stage, type StoryCommands, setTheStage } from './stage.ts';
import { toldOf } from './told.ts';
import { failedChecks } from './verdict.ts';

/** `npm start`: tells on real processes how an appliance whose agent is broken gets its fix. */

const usage = 'npm start -- [--exit]: tells the story; with --exit it ends, with 0 only if every step ended as told';
const { values } = orUsage(usage, () => {
  return parseArgs({ options: { exit: { type: 'boolean', default: false } } });
});
const screen = new Screen((text) => process.stdout.write(text), process.stdout.isTTY === true);
let seen: Observations = {};
let world: World | null = null;
let commands: StoryCommands | null = null;

/** Ends everything; a second signal does not wait. */
let ending = false;
async function end(code: number): Promise<never> {
  if (ending) process.exit(code);
  ending = true;
  commands?.remove();
  await world?.end();
  process.exit(code);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(130));

function observe(added: Observations): void {
  seen = { ...seen, ...added };
  const scene = Object.keys(added)[0];
  const told = toldOf(seen);
  for (const { name, verify } of checks.filter((one) => one.scene === scene)) {
    const wrong = verify(seen);
    const text = told[name]?.text ?? name;
    const how = wrong === null ? (told[name]?.how ?? '') : `${name}: ${wrong}`;
    screen.tell({ text, checked: { good: wrong === null, how } });
  }
}

async function play(current: Stage): Promise<Facts> {
  const { world } = current;
  const fix = world.builder.app('1.0.52');
  const bad = fix.then(() => world.builder.app('1.0.53'));
  const newest = bad.then(() => world.builder.app('1.0.54'));
  // Each is awaited where it is needed; a failure before that must not end the process without its scene's name.
  for (const build of [fix, bad, newest]) build.catch(() => undefined);
  observe({ fleet: await sceneFleet(current) });
  const order = await world.server.sendOrder('harbour-1', 'update_iso');
  const controlOrder = await world.server.sendOrder('harbour-2', 'update_iso');
  screen.tell({ text: 'the order update_iso goes to both of them' });
  observe({ crash: await sceneCrash(current, order.id) });
  const crashedAtMs = performance.now();
  observe({ fixed: await sceneFix(current, await fix, order.id) });
  const servedAtMs = performance.now();
  const onTrial = () => screen.tell({ text: '1.0.53 rewrites the database, serves, stands still' });
  observe({ rolledBack: await sceneRollback(current, await bad, onTrial) });
  observe({ newest: await sceneNewest(current, await newest) });
  observe({ control: await sceneControl(current, controlOrder.id) });
  return gatherFacts(current, crashedAtMs, servedAtMs);
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function theEnd(current: Stage, facts: Facts): void {
  const { world, first, commands } = current;
  screen.print(
    `blocked for ${seconds(facts.blockedMs)} · fetched in ${seconds(facts.fetchedMs)} · down for ${seconds(facts.downMs)} · rolled back in ${seconds(facts.revertedMs)}`,
  );
  screen.print(`dashboard ${world.server.url} (token ${world.server.token})`);
  screen.print(`field page ${current.pageUrl} (PIN ${first.pin})`);
  if (values.exit) return;
  commands.isTold();
  const { command } = commands;
  screen.print(`try: ${command} fleet · kill ${first.agentPid() ?? '(no agent)'} · ${command} demo break`);
  screen.print('Ctrl-C ends it all');
}

async function main(): Promise<void> {
  const stage = await setTheStage(
    (text) => screen.progress(text),
    (begun) => {
      world = begun;
    },
    profileDirectory(homedir(), process.env.XDG_CONFIG_HOME),
  );
  commands = stage.commands;
  screen.begin(performance.now());
  screen.print('An agent that crashes on its own update order is brought to a version that works, by an updater');
  screen.print(`that does not need it. Dashboard ${stage.world.server.url} · field page ${stage.pageUrl} · logs:`);
  screen.print(stage.world.logs);
  try {
    theEnd(stage, await play(stage));
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
    screen.print(`the story broke off: ${error instanceof Error ? error.message : String(error)}${cause}`);
    stage.commands.isTold();
  }
  writeFileSync(join(stage.world.logs, 'observations.json'), JSON.stringify(seen));
  // Over all scenes at once: what a story that broke off has not seen is not as told either.
  const failed = failedChecks(seen);
  if (failed.length > 0) {
    const whole = join(stage.world.logs, 'not-as-told.txt');
    writeFileSync(whole, failed.map(({ name, wrong }) => `${name}: ${wrong}\n`).join(''));
    screen.print(`not as told: ${failed.map(({ name }) => name).join(', ')}`);
    screen.print(`what is wrong, in full: ${whole}`);
    if (!values.exit) screen.print('all of it stays up until Ctrl-C');
  }
  if (values.exit) await end(failed.length > 0 ? 1 : 0);
}

await main();
