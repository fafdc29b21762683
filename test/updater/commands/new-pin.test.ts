import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { exitDone, exitFailed } from '../../../protocol/exit-status.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { statusShape } from '../../../protocol/status.ts';
import { setup } from '../../../updater/commands/setup.ts';
import type { CommandLine } from '../../../updater/effects/command-line.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { isPin, pinRecordShape } from '../../../updater/page/pin.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.page);
  writeFileSync(
    layout.settings,
    JSON.stringify({ processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } }),
  );
});

/** `holdfast-updater setup --new-pin`: nobody types, and there is neither server nor claim. */
async function newPin() {
  const lines: string[] = [];
  const options = { ...{ root: layout.root, factory: '', json: false, wait: true, rollback: false }, 'new-pin': true };
  const print = (text: string) => lines.push(text);
  const { clock } = testAppliance(layout);
  const line: CommandLine = {
    ...{ words: ['setup'], options: { ...options, help: false, version: false }, layout, files: realFiles, clock },
    ...{ print, complain: print, proxies: { https: undefined, http: undefined, none: undefined } },
    ...{ version: '1.0.0', builtAtS: 0, home: '' },
  };
  const status = await setup(line);
  return { status, text: lines.join('\n') };
}

async function notices(): Promise<readonly string[]> {
  await publishStatus(testAppliance(layout).appliance, idleState());
  const { notices: all = [] } = statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));
  return all.filter((text) => text.includes('PIN'));
}

describe('the PIN of the field page', () => {
  it.each([
    ['missing', () => rmSync(layout.pin, { force: true })],
    ['damaged', () => writeFileSync(layout.pin, '{"v":1')],
    ['a directory', () => mkdirSync(layout.pin)],
  ])('that is %s is said by the status, and made again on site without server and claim', async (_what, damage) => {
    damage();
    expect(await notices()).toEqual([expect.stringMatching(/PIN of the field page .*setup --new-pin/)]);
    const { status, text } = await newPin();
    const pin = /PIN of the field page \(shown once\): (\d{8})/.exec(text)?.[1];
    expect([status, pin]).toEqual([exitDone, expect.any(String)]);
    expect(await isPin(pinRecordShape.parse(JSON.parse(readFileSync(layout.pin, 'utf8'))), pin ?? '')).toBe(true);
    expect(await notices()).toEqual([]);
  });

  it('is not made where there is no appliance', async () => {
    rmSync(layout.root, { recursive: true });
    const { status, text } = await newPin();
    expect([status, text]).toEqual([exitFailed, expect.stringMatching(/^no-appliance/)]);
  });
});
