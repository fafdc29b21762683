import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evidence, evidenceLines } from '../../protocol/evidence.ts';
import type { Status } from '../../protocol/status.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, historyOf, makeWorld, paceS, serves } from './scene.ts';

/** S32: a release fails its trial; what was seen of it is told in the same words wherever somebody asks. */
const world = makeWorld();
let box: ApplianceBox;
let page: string;
let status: Status;
let seen: Evidence;
/** The page and the dashboard print text within HTML. */
const escaped = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  const pagePort = await freePort();
  page = `http://127.0.0.1:${pagePort}`;
  box = await world.addAppliance('wharf', {
    pagePort,
    trial: { healthyMs: 20_000, deadlineMs: 60_000 },
    settings: { sampleMs: 100, stallMs: 4_000, answerMs: 20_000 },
  });
  await box.powerOn();
  await serves(box, '1.0.52');
  const crashing = await world.builder.app('1.0.55');
  await box.updaterProgram(['install', crashing.path, '--no-wait']);
  await historyOf(box, 1);
  await serves(box, '1.0.52');
  status = await until('the status tells of it', comesWithinMs, async () => {
    const now = await box.status();
    return now.evidence === undefined ? null : now;
  });
  if (status.evidence === undefined) throw new RangeError('no evidence');
  seen = status.evidence.seen;
});
afterAll(() => endWorld(world));

const holdfast = async (...words: string[]): Promise<string> => {
  const program = join(checkout, 'server-lite', 'cli', 'main.ts');
  const target = ['--server', world.server.url, '--token-file', world.server.tokenFile];
  const { stdout } = await execa(nodeBinary, [program, ...words, ...target]);
  // A narrow terminal breaks lines; the words are what counts.
  return stdout.replaceAll(/\s+/g, ' ');
};

describe('a failed trial', () => {
  it('has its evidence kept: last output, and each row that it went through, in order', () => {
    expect(existsSync(join(box.layout.evidence, '1', 'verdict.json'))).toBe(true);
    const reached = seen.timeline.map(({ row }) => row);
    const way = ['resolved', 'fetching', 'writing', 'sealed', 'quiesced', 'snapped', 'armed', 'trial', 'reverting'];
    expect(reached.filter((row, index) => row !== reached[index - 1])).toEqual(way);
    const times = seen.timeline.map(({ ms }) => ms);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(seen.exit).toEqual({ code: 1, signal: null });
    expect(seen.output).not.toBe('');
  });

  it('is explained by the same sentence on page, command line and server', async () => {
    const { stdout } = await box.updaterProgram(['why']);
    const view = await until('the server says the same', comesWithinMs, async () => {
      const one = await world.server.appliance('wharf');
      return one.why === stdout ? one : null;
    });
    expect(stdout).toContain('1.0.55 was rolled back');
    expect(await (await fetch(page)).text()).toContain(escaped(stdout));
    expect(await holdfast('appliance', 'show', 'wharf')).toContain(view.why);
  });

  it('has the same lines of evidence on page, in status and history, with the server and on its dashboard', async () => {
    const view = await until('the server has it', comesWithinMs, async () => {
      const { failedTrial } = await world.server.appliance('wharf');
      return failedTrial;
    });
    const lines = evidenceLines(seen);
    expect(view.lines).toEqual(lines);
    expect(view.text).toContain('it said last: Error: ');
    const told = (await historyOf(box, 1)).at(-1);
    expect(told?.text).toContain(view.text);
    const dashboard = await fetch(world.server.url, { headers: { authorization: `Bearer ${world.server.token}` } });
    const pages = [await (await fetch(page)).text(), await dashboard.text()];
    for (const line of lines) for (const text of pages) expect(text).toContain(escaped(line));
    const texts = await Promise.all([
      box.updaterProgram(['status']).then(({ stdout }) => stdout),
      box.updaterProgram(['history']).then(({ stdout }) => stdout),
      holdfast('appliance', 'show', 'wharf'),
    ]);
    for (const line of lines) for (const text of texts) expect(text).toContain(line);
  });
});
