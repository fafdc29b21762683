import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evidence, evidenceLines } from '../../protocol/evidence.ts';
import type { Status } from '../../protocol/status.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { checkout, nodeBinary } from '../support/world/checkout.ts';
import { freePort } from '../support/world/free-port.ts';
import { endWorld, historyOf, makeWorld, paceS, patient, serves, trialOf, untilOf } from './scene.ts';

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

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  const pagePort = await freePort();
  page = `http://127.0.0.1:${pagePort}`;
  box = await world.addAppliance('wharf', {
    pagePort,
    trial: trialOf(20_000),
    settings: patient,
  });
  await box.powerOn();
  await serves(box, '1.0.52');
  const crashing = await world.builder.app('1.0.55');
  await box.updaterProgram(['install', crashing.path, '--no-wait']);
  await historyOf(box, 1);
  await serves(box, '1.0.52');
  status = await untilOf(box, 'tells of it', async () => {
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
    const view = await untilOf(box, 'tells the server the same', async () => {
      const one = await world.server.appliance('wharf');
      return one.why === stdout ? one : null;
    });
    expect(stdout).toContain('1.0.55 was rolled back');
    expect(await (await fetch(page)).text()).toContain(escaped(stdout));
    expect(await holdfast('appliance', 'show', 'wharf')).toContain(view.why);
  });

  it('has the same lines of evidence on page, in status and history, with the server and on its dashboard', async () => {
    const view = await untilOf(box, 'tells the server of it', async () => {
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
