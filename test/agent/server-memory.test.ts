import { randomUUID } from 'node:crypto';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { counterStepMax, eventNumberStepMax } from '../../protocol/bounded-step.ts';
import { TestAppliance, until } from './agent-process.ts';

let appliance: TestAppliance;

beforeEach(async () => {
  appliance = new TestAppliance();
  await appliance.startServer();
});

afterEach(async () => {
  const { problems } = appliance.server;
  await appliance.end();
  expect(problems).toEqual([]);
});

async function arrived(count: number): Promise<void> {
  await until(`${count} records`, () => appliance.server.records().length >= count);
}

function change(sql: string): void {
  const database = new Sqlite(appliance.layout.outboxDb);
  database.exec(sql);
  database.close();
}

const texts = () => [...appliance.server.events.values()].map(({ text }) => text);

describe('a server that was restored from a backup and keeps its epoch', () => {
  it.each([true, false])('gets what it lost, and is told (names what it stored: %s)', async (namesStored) => {
    const { server } = appliance;
    server.namesStored = namesStored;
    appliance.run();
    await arrived(8);
    const names = server.records().map(({ name }) => name);
    for (const n of [...server.events.keys()].filter((number) => number > 3)) server.events.delete(n);
    if (namesStored) server.says = { offerFrom: 4 };
    await until('the lost ones', () => names.every((name) => server.records().some((record) => record.name === name)));
    server.says = {};
    await until('word of it', () => texts().some((text) => text.includes('are offered again')));
    const before = server.records().length;
    await arrived(before + 3);
    expect(server.contiguous()).toBe(server.events.size);
  });
});

describe('a server that acknowledges what it does not have', () => {
  it('by any number makes the agent forget nothing that it did not just send', async () => {
    const { server } = appliance;
    server.namesStored = true;
    appliance.run();
    await arrived(3);
    server.acknowledges = false;
    server.says = { ackUpto: Number.MAX_SAFE_INTEGER };
    const before = server.requests.length;
    await until('such answers', () => server.requests.length > before + 4);
    const lost = server.records();
    server.events.clear();
    server.says = {};
    server.acknowledges = true;
    await until('the last of them', () => server.records().some(({ name }) => name === lost.at(-1)?.name));
    await arrived(5);
    expect(texts().filter((text) => text.includes('never had')).length).toBeLessThanOrEqual(1);
  });

  it('keeps no new outbox from numbers that can be read', async () => {
    const { server } = appliance;
    server.namesStored = true;
    server.says = { ackUpto: Number.MAX_SAFE_INTEGER };
    appliance.run();
    await arrived(5);
    expect(Math.max(...server.events.keys())).toBeLessThan(2 * eventNumberStepMax);
    expect(Math.min(...server.events.keys())).toBeGreaterThan(eventNumberStepMax);
    expect(texts().filter((text) => text.includes('never had'))).toHaveLength(1);
  });
});

describe('a signed refusal of the counter with the greatest number there is', () => {
  it('leaves an agent that reaches the true server at the next try, also after a restart', async () => {
    const { server } = appliance;
    const run = appliance.run();
    await arrived(2);
    server.conduct = 'counter-beyond';
    const before = server.requests.length;
    await until('such refusals', () => server.requests.length >= before + 2);
    run.kill('SIGKILL');
    await run.exit();
    server.conduct = 'honest';
    const refused = server.requests.length;
    appliance.run();
    await until('an answer', () => server.requests.length > refused && server.lastSeq > 0);
    await arrived(server.records().length + 2);
    expect(server.lastSeq).toBeLessThan(20 * counterStepMax);
  });
});

describe('an outbox with numbers that nobody counted', () => {
  it('is worked with: the server says the next counter, and events go on after the last sound number', async () => {
    const { server } = appliance;
    const run = appliance.run();
    await arrived(2);
    run.kill('SIGTERM');
    await run.exit();
    const sound = server.contiguous();
    change(`
      UPDATE counters SET value = 9007199254740991;
      INSERT OR REPLACE INTO counters VALUES ('issuedAtS', 32503680000);
      UPDATE events SET n = n + 9007199254740900, body = json_set(body, '$.n', n + 9007199254740900), acked = 0
        WHERE n > ${sound};
    `);
    appliance.run();
    await arrived(server.records().length + 3);
    expect(server.contiguous()).toBe(server.events.size);
    // A year 3000 that an earlier version stored decides nothing.
    const id = randomUUID();
    server.order({ version: 1, id, appliance: appliance.id, kind: 'check-in', expiresAtS: 1_800_000_000 });
    await until('the end of the order', () => server.orderEnd(id)?.state === 'succeeded');
  });
});

describe('a server whose clock was ahead', () => {
  it('for one answer has no order refused that comes with a true one', async () => {
    const { server } = appliance;
    appliance.run();
    await arrived(1);
    server.says = { issuedAt: 32_503_680_000 };
    const before = server.requests.length;
    await until('such answers', () => server.requests.length > before + 2);
    server.says = {};
    const id = randomUUID();
    server.order({ version: 1, id, appliance: appliance.id, kind: 'check-in', expiresAtS: 1_800_000_000 });
    await until('the end of the order', () => server.orderEnd(id)?.state === 'succeeded');
  });
});

describe('a damaged row of the outbox', () => {
  it('costs nothing but itself: what is left of it is said, and what follows arrives', async () => {
    const { server } = appliance;
    server.acknowledges = false;
    const run = appliance.run();
    await arrived(3);
    run.kill('SIGKILL');
    await run.exit();
    change(`UPDATE events SET body = '{"torn' WHERE n = 2`);
    server.events.clear();
    server.acknowledges = true;
    appliance.run();
    await arrived(5);
    expect(server.events.get(2)).toMatchObject({
      kind: 'note',
      text: expect.stringContaining('damaged in the outbox: {"torn'),
    });
    expect(server.contiguous()).toBe(server.events.size);
  });
});
