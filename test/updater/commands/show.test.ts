import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { noSources } from '../../../protocol/sources.ts';
import { statusShape } from '../../../protocol/status.ts';
import { sources, status, why } from '../../../updater/commands/show.ts';
import type { CommandLine } from '../../../updater/effects/command-line.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { takeSources } from '../../../updater/trust/sources.ts';
import { forgetCrashes } from '../../../updater/watch/crashes.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const minuteMs = 60_000;

let layout: Layout;
let machine: ReturnType<typeof testAppliance>;
beforeEach(async () => {
  layout = temporaryAppliance();
  machine = testAppliance(layout);
  await publishStatus(machine.appliance, idleState());
});

const written = () => statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));

/** The real program, by itself: the status is of another boot than its own. */
async function program(...words: string[]) {
  const main = join(checkout, 'updater', 'main.ts');
  const { exitCode, stdout } = await execa(nodeBinary, [main, ...words, '--root', layout.root], { reject: false });
  return { exitCode, stdout };
}

/** The same command on the clock of the appliance, `ms` after the status was written. */
function commandAfter(ms: number, show: (line: CommandLine) => number) {
  machine.clock.nowMs += ms;
  const lines: string[] = [];
  const options = {
    root: layout.root,
    factory: '',
    json: false,
    wait: true,
    rollback: false,
    help: false,
    version: false,
  };
  const print = (text: string) => lines.push(text);
  const line: CommandLine = {
    ...{ words: [], options, layout, files: realFiles, clock: machine.clock, print, complain: print },
    ...{ proxies: { https: undefined, http: undefined, none: undefined }, version: '1.0.0', builtAtS: 0, home: '' },
  };
  return { exitCode: show(line), stdout: lines.join('\n') };
}

describe('a status that is shown', () => {
  it.each([why, status])('is what the updater said, while it is fresh', (show) => {
    const { exitCode, stdout } = commandAfter(4 * minuteMs, show);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(written().why);
    expect(stdout).not.toMatch(/unknown: /i);
  });

  it.each([why, status])('is unknown when the updater has not looked for minutes', (show) => {
    const { exitCode, stdout } = commandAfter(7 * minuteMs, show);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('Unknown: the updater has not looked for 7 minutes');
    expect(stdout).toContain(`It said then: ${written().why}`);
  });

  it.each([
    [26 * 60 * minuteMs, 'a day'],
    [50 * 60 * minuteMs, '2 days'],
    [800 * 24 * 60 * minuteMs, 'more than a year'],
  ])('says of an old one how old it is, in words: %i ms', (ms, words) => {
    expect(commandAfter(ms, why).stdout).toContain(`has not looked for ${words}.`);
  });

  it('is unknown when the updater has not looked since the appliance started', async () => {
    for (const command of ['why', 'status']) {
      const { exitCode, stdout } = await program(command);
      expect(exitCode).toBe(1);
      expect(stdout).toContain('Unknown: the updater has not looked since the appliance started.');
    }
    const { stdout } = await program('status', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ verdict: { word: 'unknown' }, said: written().why });
  });

  it('of the sources is for people, and as JSON for programs', async () => {
    expect(commandAfter(0, sources).stdout).toBe(
      'No sources are set: releases come from the server itself, without a proxy.',
    );
    const cache = { name: 'hall', kind: 'cache', url: 'http://cache.site:8080/releases' } as const;
    takeSources(machine.appliance, { ...noSources, releases: [cache], rateBytesPerS: 50_000 }, 'page');
    await publishStatus(machine.appliance, idleState());
    expect(commandAfter(0, sources).stdout.split('\n')).toEqual([
      'Releases come from these sources, in this order:',
      '  cache hall: http://cache.site:8080/releases',
      '  the server itself',
      'proxy: none',
      'keys of the server: any that its certificate proves',
      'rate: 50000 bytes a second',
      'set by: a person, until the signed ones change',
      'No answer over these has been verified yet; the previous network path is tried too.',
    ]);
    expect(JSON.parse((await program('sources', '--json')).stdout)).toMatchObject({ sources: { releases: [cache] } });
  });

  it('calls no slot empty that has a version', async () => {
    sealedSlot(layout, 'app', '2', { version: '1.0.47' });
    await publishStatus(machine.appliance, idleState());
    const { stdout } = commandAfter(0, status);
    expect(stdout).toMatch(/app +2 +unused +1\.0\.47/);
    expect(stdout).toMatch(/updater +0 +empty +-/);
  });

  it('shows how the version that runs ended, and of another one’s end nothing', async () => {
    const { appliance, processes } = machine;
    const exit = { code: 1, signal: null };
    processes.facts = { ...processes.facts, crashes: 3, lastExit: exit, lastOutput: 'words of a trial' };
    forgetCrashes(appliance, processes.facts);
    await publishStatus(appliance, idleState());
    expect(written().agent).toMatchObject({ crashes: 0, lastExit: null, lastOutput: '' });
    processes.facts = { ...processes.facts, crashes: 4, lastOutput: 'words of its own' };
    await publishStatus(appliance, idleState());
    expect(written().agent).toMatchObject({ lastExit: exit, lastOutput: 'words of its own' });
  });
});
