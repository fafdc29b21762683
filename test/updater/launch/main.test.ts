import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { saveState } from '../../../updater/record/state-store.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const program = join(import.meta.dirname, '../../../updater/launch/main.ts');

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
  createRecordFiles(realFiles, layout.launchRecords, layout.updater);
  sealedSlot(layout, 'app', '1', { version: '1.0.49' });
});

const launch = (...words: string[]) =>
  execa(process.execPath, [program, ...words], { reject: false, extendEnv: false, env: {} });

describe('the launch program', () => {
  it('ends with 0 and names what it chose', async () => {
    saveState(realFiles, layout, stateIn('idle'));
    const ended = await launch('count', 'app', '--root', layout.root);
    expect(ended).toMatchObject({ exitCode: 0, stdout: 'launch: app 1.0.49 from slot 1', stderr: '' });
    expect(readlinkSync(join(layout.launchedComponent('app'), 'slot'))).toBe(layout.slot('app', '1'));
  });

  it('ends with 75 when only the updater may start the agent', async () => {
    saveState(realFiles, layout, stateIn('reverting'));
    const ended = await launch('count', 'app', '--root', layout.root);
    expect(ended).toMatchObject({ exitCode: 75, stdout: '' });
    expect(ended.stderr).toContain('the updater is at work (reverting)');
  });

  it.each([
    { words: [] },
    { words: ['count'] },
    { words: ['count', 'os'] },
    { words: ['start', 'app'] },
    { words: ['count', 'app', '--slot', '2'] },
  ])('ends with 64 for $words', async ({ words }) => {
    const ended = await launch(...words);
    expect(ended).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ended.stderr).toContain('usage: launch count|point app|updater');
  });
});

describe('the launch program, of the updater', () => {
  it('notes its ends, and says how many were bad', async () => {
    sealedSlot(layout, 'updater', 'factory', { version: '1.0.0' });
    saveState(realFiles, layout, stateIn('idle'));
    expect(await launch('count', 'updater', '--root', layout.root)).toMatchObject({ exitCode: 0 });
    const end = ['ended', 'updater', '--invocation=i', '--code=killed', '--status=SEGV', '--root', layout.root];
    const ended = await launch(...end);
    expect(ended).toMatchObject({ exitCode: 0, stdout: 'launch: the updater ended badly, 1 in a row (killed SEGV)' });
  });

  it('says by its exit status whether one hangs', async () => {
    const overdue = ['overdue', 'updater', '--after-s', '0', '--root', layout.root];
    expect(await launch(...overdue)).toMatchObject({ exitCode: 1, stdout: '' });
    sealedSlot(layout, 'updater', '0', { version: '1.1.0' });
    const trial = { tx: 7, component: 'updater', slot: '0', tries: 3 } as const;
    saveState(realFiles, layout, { ...stateIn('idle'), row: 'armed', trial });
    await launch('count', 'updater', '--root', layout.root);
    expect(await launch(...overdue)).toMatchObject({ exitCode: 0 });
    expect(await launch('overdue', 'updater', '--root', layout.root)).toMatchObject({ exitCode: 1 });
  });
});
