import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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
import { type Stage, setTheStage } from './stage.ts';

/** `npm start`: tells on real processes how an appliance whose agent is broken gets its fix. */

const { values } = parseArgs({ options: { exit: { type: 'boolean', default: false } } });
const screen = new Screen((text) => process.stdout.write(text), process.stdout.isTTY === true);
const failed: string[] = [];
let seen: Observations = {};
let stage: Stage | null = null;

/** Ends everything; a second signal does not wait. */
let ending = false;
async function end(code: number): Promise<never> {
  if (ending) process.exit(code);
  ending = true;
  await stage?.world.end();
  process.exit(code);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(130));

function observe(added: Observations, told: Readonly<Record<string, { text: string; how: string }>>): void {
  seen = { ...seen, ...added };
  const scene = Object.keys(added)[0];
  for (const { name, verify } of checks.filter((one) => one.scene === scene)) {
    const wrong = verify(seen);
    if (wrong !== null) failed.push(name);
    const line = told[name];
    if (wrong !== null) screen.tell({ text: line?.text ?? name, checked: { good: false, how: `${name}: ${wrong}` } });
    else if (line !== undefined) screen.tell({ text: line.text, checked: { good: true, how: line.how } });
  }
}

function unknownLines(): void {
  for (const { name, verify } of checks) if (!failed.includes(name) && verify(seen) !== null) failed.push(name);
}

async function play(current: Stage): Promise<Facts> {
  const { world } = current;
  const fix = world.builder.app('1.0.52');
  const bad = fix.then(() => world.builder.app('1.0.53'));
  const newest = bad.then(() => world.builder.app('1.0.54'));
  // Each is awaited where it is needed; a failure before that must not end the process without its scene's name.
  for (const build of [fix, bad, newest]) build.catch(() => undefined);
  observe(
    { fleet: await sceneFleet(current) },
    {
      'fleet-runs-1.0.49': {
        text: 'harbour-1 and -2 run 1.0.49, each as its own user',
        how: 'server API, process table',
      },
      'third-is-offline': { text: 'harbour-3 has been off since before', how: 'server API: offline, its age' },
    },
  );
  const order = await world.server.sendOrder('harbour-1', 'update_iso');
  const controlOrder = await world.server.sendOrder('harbour-2', 'update_iso');
  screen.tell({ text: 'the order update_iso goes to both of them' });
  const crash = await sceneCrash(current, order.id);
  const crashedAtMs = performance.now();
  observe(
    { crash },
    {
      'order-crashes-agent': {
        text: `order: ${crash.order.sentence}`,
        how: 'server API',
      },
      'crash-text-is-told': { text: "  has no attribute 'mcp_api_key_file'", how: 'server API, its text' },
      'updater-reports-crash': {
        text: 'the updater tells the server, since the agent can not',
        how: 'event with exit status, output',
      },
      'agent-was-restarted': {
        text: 'it starts again and crashes again',
        how: `process table: ${crash.pids.length} agents so far`,
      },
      'page-answers': { text: 'the field page answers while the agent is dead', how: 'HTTP 200, "crashed"' },
    },
  );
  const fixed = await sceneFix(current, await fix, order.id);
  const servedAtMs = performance.now();
  observe(
    { fixed },
    {
      'fix-is-committed': { text: '1.0.52 came, was tried and is committed', how: 'server API, command line, health' },
      'order-ends': { text: 'the same order now ends', how: `order is ${fixed.order.state}` },
      'fix-keeps-state': {
        text: 'what 1.0.49 had acknowledged is all there',
        how: `${fixed.readings.count} rows, digest equal`,
      },
    },
  );
  const rolledBack = await sceneRollback(current, await bad, () => {
    screen.tell({ text: '1.0.53 rewrites the database, serves, stands still' });
  });
  observe(
    { rolledBack },
    {
      'bad-release-is-rolled-back': { text: '1.0.53 is noticed and rolled back', how: 'command line: 1.0.52, stalled' },
      'quarantine-holds': { text: '1.0.53 is in quarantine here', how: 'command line, server API' },
      'state-is-restored': {
        text: 'state is back byte for byte before an agent starts',
        how: 'digests equal the snapshot',
      },
      'rows-are-kept': {
        text: 'rows acknowledged before it are read by 1.0.52',
        how: `${rolledBack.readingsBefore.count} rows, digest equal`,
      },
      'trial-outbox-arrives': {
        text: 'what 1.0.53 put in the outbox reached the server',
        how: 'more records than rows',
      },
      'rollout-is-paused': { text: 'the rollout paused itself', how: 'server API, with the reason' },
      'why-in-same-words': { text: 'page, dashboard and command line say why', how: 'the same words on all three' },
    },
  );
  observe(
    { newest: await sceneNewest(current, await newest) },
    {
      'newest-is-committed': { text: '1.0.54 arrives and is committed', how: 'server API, by the updater' },
      'third-in-one-step': {
        text: 'harbour-3 wakes: 1.0.49 -> 1.0.54 in one transaction',
        how: 'its history has one line',
      },
    },
  );
  observe(
    { control: await sceneControl(current, controlOrder.id) },
    {
      'control-stays-blocked': {
        text: 'harbour-2, its updater off, is blocked to the end',
        how: '1.0.49, order not done',
      },
    },
  );
  return gatherFacts(current, crashedAtMs, servedAtMs);
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function theEnd(current: Stage, facts: Facts): void {
  const { world, first } = current;
  screen.print(
    `blocked for ${seconds(facts.blockedMs)} · fetched in ${seconds(facts.fetchedMs)} · down for ${seconds(facts.downMs)} · rolled back in ${seconds(facts.revertedMs)}`,
  );
  screen.print(`dashboard ${world.server.url} (token ${world.server.token})`);
  screen.print(`field page ${current.pageUrl} (PIN ${first.pin})`);
  if (values.exit) return;
  screen.print(`try: npx holdfast fleet · kill ${first.agentPid() ?? '(no agent)'} · npx holdfast demo break`);
  screen.print('Ctrl-C ends it all');
}

async function main(): Promise<void> {
  stage = await setTheStage((text) => screen.progress(text));
  screen.begin(performance.now());
  screen.print('An agent that crashes on its own update order is brought to a version that works, by an updater');
  screen.print(`that does not need it. Dashboard ${stage.world.server.url} · field page ${stage.pageUrl} · logs:`);
  screen.print(stage.world.logs);
  try {
    theEnd(stage, await play(stage));
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
    screen.print(`the story broke off: ${error instanceof Error ? error.message : String(error)}${cause}`);
    unknownLines();
  }
  writeFileSync(join(stage.world.logs, 'observations.json'), JSON.stringify(seen));
  if (failed.length > 0) screen.print(`not as told: ${failed.join(', ')}`);
  if (values.exit || failed.length > 0) await end(failed.length > 0 ? 1 : 0);
}

await main();
