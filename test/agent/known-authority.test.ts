import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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

const signs = () => appliance.server.isTargetSigned;
/** So many more requests from here on. */
const more = async (count: number) => {
  const upto = signs().length + count;
  await until(`${count} more requests`, () => signs().length >= upto);
};

describe("the agent's requests", () => {
  it('are signed for the authority once the server said that it goes by it, also after a restart', async () => {
    appliance.server.says = { features: ['authority'] };
    const run = appliance.run();
    await until('one that is signed for it', () => signs().at(-1) === true);
    expect(signs()[0]).toBe(false);
    const [first] = appliance.server.requests;
    expect(first).toMatchObject({ authority: new URL(appliance.server.url).host });
    expect(first?.features).not.toContain('authority');
    expect(appliance.server.requests.at(-1)?.features).toContain('authority');
    run.kill('SIGKILL');
    await run.exit();
    const before = signs().length;
    appliance.run();
    await more(2);
    expect(signs().slice(before)).not.toContain(false);
  });

  it('are signed as before for a server that does not say so', async () => {
    appliance.run();
    await more(4);
    expect(signs()).not.toContain(true);
  });

  it('are signed as before once the server refuses the name, and nothing is lost', async () => {
    appliance.server.says = { features: ['authority'] };
    appliance.run();
    await until('one that is signed for it', () => signs().at(-1) === true);
    appliance.server.says = {};
    appliance.server.conduct = 'name-unknown';
    await until('one without', () => signs().at(-1) === false);
    appliance.server.conduct = 'honest';
    const records = appliance.server.records().length;
    await until('more records', () => appliance.server.records().length > records && appliance.server.contiguous());
    const before = signs().length;
    await more(3);
    expect(signs().slice(before)).not.toContain(true);
  });

  it('reach a server that was put back to a version before this, and its word ends the other profile', async () => {
    appliance.server.says = { features: ['authority'] };
    appliance.run();
    await until('one that is signed for it', () => signs().at(-1) === true);
    appliance.server.says = {};
    appliance.server.isOld = true;
    const records = appliance.server.records().length;
    await until('more records', () => appliance.server.records().length > records && appliance.server.contiguous());
    await more(1);
    const before = signs().length;
    await more(4);
    expect(signs().slice(before)).not.toContain(true);
  });

  it('go on being signed for it after what nobody signed', async () => {
    appliance.server.says = { features: ['authority'] };
    appliance.run();
    await until('one that is signed for it', () => signs().at(-1) === true);
    appliance.server.conduct = 'unsigned';
    await more(3);
    appliance.server.conduct = 'honest';
    const before = signs().length;
    await until('one that is signed for it', () => signs().slice(before).includes(true));
    await until('two more of them', () => signs().slice(-2).join() === 'true,true');
  });
});
