import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import type { OrderView } from '../../server-lite/operator/shapes.ts';
import { quarantineDirectory } from '../../updater/agent-data/snapshot.ts';
import { checkRecords } from '../soak/records.ts';
import { readOnlyDatabase } from '../support/read-only-database.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { until } from '../support/world/wait.ts';
import {
  comesWithinMs,
  ended,
  endWorld,
  historyOf,
  makeWorld,
  paceS,
  patient,
  serves,
  told,
  trialOf,
  untilOf,
} from './scene.ts';

/**
 * 1.0.53 serves for a while with a state of its own, runs an order, makes records, and fails its trial. What must never
 * go back is where it was when the version before serves again (I4, I5).
 */
const world = makeWorld();
let box: ApplianceBox;
let order: OrderView;

function outbox<Row>(shape: z.ZodType<Row>, sql: string): Row[] {
  const database = readOnlyDatabase(box.layout.outboxDb);
  try {
    return z.array(shape).parse(database.prepare(sql).all());
  } finally {
    database.close();
  }
}

const counters = () =>
  Object.fromEntries(
    outbox(z.object({ name: z.string(), value: z.number() }), 'SELECT name, value FROM counters').map(
      ({ name, value }) => [name, value],
    ),
  );
const links = () =>
  outbox(
    z.object({ n: z.number(), prev: z.string(), hash: z.string() }),
    'SELECT n, prev, hash FROM events ORDER BY n',
  );
const keys = () => sha256(readFileSync(box.layout.agentCredentials));

interface Seen {
  readonly keys: string;
  readonly counters: Readonly<Record<string, number>>;
  readonly links: ReturnType<typeof links>;
}
const look = (): Seen => ({ keys: keys(), counters: counters(), links: links() });
let before: Seen;
let inTrial: Seen;
let after: Seen;

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  box = await world.addAppliance('ledger', {
    trial: trialOf(6_000),
    // Time for the order that it runs before it is rolled back.
    settings: { ...patient, stallMs: 15_000 },
  });
  await box.powerOn();
  await serves(box, '1.0.52');
  await world.publish(await world.builder.app('1.0.53'));
  before = look();
  await world.server.startRollout('1.0.53', ['ledger']);
  await untilOf(box, 'has 1.0.53 on trial, which answers', async () => {
    const found = await box.status();
    return found.row === 'trial' && found.agent.version === '1.0.53' ? true : null;
  });
  order = await world.server.sendOrder('ledger', 'identify');
  order = await ended(world, order.id);
  inTrial = look();
  await historyOf(box, 1);
  await serves(box, '1.0.52');
  // Two more of its own check-ins: what it goes on from is what the server takes.
  const { ackUpto } = await world.server.appliance('ledger');
  await until('the version before reports again', comesWithinMs, async () =>
    (await world.server.appliance('ledger')).ackUpto.agent > ackUpto.agent + 1 ? true : null,
  );
  after = look();
});

afterAll(() => endWorld(world));

describe('after a trial that failed', () => {
  it('the story is the one that is meant: it served, ran an order, and was rolled back', async () => {
    expect(order).toMatchObject({ state: 'succeeded', result: expect.stringContaining('1.0.53') });
    expect(told(await historyOf(box, 1))).toEqual(['1.0.52 -> 1.0.53 rolled-back stalled']);
    expect(inTrial.links.length).toBeGreaterThan(before.links.length);
  });

  it('the keys are the same', () => {
    expect([inTrial.keys, after.keys]).toEqual([before.keys, before.keys]);
  });

  it('no counter went back, and the server refused none', async () => {
    for (const [name, value] of Object.entries(inTrial.counters)) {
      expect(after.counters[name], name).toBeGreaterThanOrEqual(value);
    }
    const told = (await world.server.events('ledger')).map(({ kind, text }) => `${kind} ${text}`);
    expect(told.filter((line) => /clone|counter/.test(line))).toEqual([]);
  });

  it('no order runs twice: the ledger knows the one that the trial ran', async () => {
    const known = outbox(z.object({ id: z.string(), state: z.string() }), 'SELECT id, state FROM orders');
    expect(known).toContainEqual({ id: order.id, state: 'succeeded' });
    const reports = (await world.server.events('ledger', 'order')).map(({ body }) =>
      z.object({ order: z.object({ id: z.string(), state: z.string() }) }).parse(body),
    );
    const running = reports.filter((one) => one.order.id === order.id && one.order.state === 'running');
    expect(running).toHaveLength(1);
  });

  it('the chain is one chain: what the trial wrote is in it, and nothing is forked', () => {
    expect(after.links.slice(0, inTrial.links.length)).toEqual(inTrial.links);
    for (const [index, link] of after.links.entries()) {
      if (index > 0) expect(link.prev).toBe(after.links[index - 1]?.hash);
    }
  });

  it("the trial's database is in quarantine, and the history says where", async () => {
    const [line] = (await box.status()).transactions;
    const directory = quarantineDirectory(box.layout, line?.tx ?? 0);
    expect(existsSync(join(directory, 'state.db'))).toBe(true);
    expect(line?.text).toContain(directory);
    const { why } = await box.status();
    expect(why).toContain(`its data is kept in ${directory}`.slice(1));
    expect(why).toContain(`what it said last is in ${join(box.layout.evidence, String(line?.tx))}`);
  });

  it('every record that was acknowledged is there once', async () => {
    await box.powerOff();
    await world.server.stop();
    const check = checkRecords(box, world.server.dir);
    expect(check.lost).toEqual([]);
    expect(check.checked).toBeGreaterThan(10);
  });
});
