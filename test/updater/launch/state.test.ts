import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { startShape } from '../../../protocol/health.ts';
import type { Layout } from '../../../protocol/layout.ts';
import type { StateBody } from '../../../protocol/state-record.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { launchCount } from '../../../updater/launch/count.ts';
import { createRecordFiles } from '../../../updater/record/record-store.ts';
import { saveState } from '../../../updater/record/state-store.ts';
import { sealedSlot } from '../support/sealed-slot.ts';
import { stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  createRecordFiles(realFiles, layout.stateRecords, layout.updater);
  createRecordFiles(realFiles, layout.launchRecords, layout.updater);
});

const save = (state: StateBody) => saveState(realFiles, layout, state);
const launch = () => launchCount({ files: realFiles, bootId: () => 'boot-1', monoMs: () => 0 }, layout, 'app');
const start = () =>
  startShape.parse(JSON.parse(readFileSync(join(layout.launchedComponent('app'), 'start.json'), 'utf8')));

/** The newest schema that a version which could run here knows: what is above it in a state is damage. */
describe('a start says which schemas the committed version knows', () => {
  const schemas = (max: number, writes = max) => ({ reads: { min: 0, max }, writes });
  const slots = (committed: ReturnType<typeof schemas>, tried: ReturnType<typeof schemas>) => {
    sealedSlot(layout, 'app', '1', { version: '1.0.49', state: committed });
    sealedSlot(layout, 'app', '2', { version: '1.0.52', state: tried });
  };

  it.each(['idle', 'armed', 'trial', 'committing'] as const)('in %s, whatever the one on trial knows', (row) => {
    slots(schemas(3, 2), schemas(9));
    save(stateIn(row));
    launch();
    expect(start().stateSchemaMax).toBe(3);
  });

  it('and which trial it is', () => {
    slots(schemas(3), schemas(9));
    save(stateIn('trial'));
    launch();
    expect(start().trialTx).toBe(7);
    save(stateIn('idle'));
    launch();
    expect(start()).not.toHaveProperty('trialTx');
  });

  it('but factory, on a state of its own, is told its own', () => {
    slots(schemas(3), schemas(9));
    sealedSlot(layout, 'app', 'factory', { version: '1.0.40', state: schemas(2) });
    save(stateIn('safe'));
    launch();
    expect(start()).toMatchObject({ stateDir: layout.agentFactory, stateSchemaMax: 2 });
  });

  it.each(['', '{', '{}', '{"state":{"reads":{"max":1e99},"writes":1}}', '{"state":{"reads":{"max":"2"},"writes":1}}'])(
    'and nothing where its seal does not tell (%j)',
    (seal) => {
      slots(schemas(3), schemas(9));
      save(stateIn('trial'));
      writeFileSync(join(layout.slot('app', '1'), '.seal'), seal);
      expect(launch()).toMatchObject({ outcome: 'chosen', slot: '2' });
      expect(start()).not.toHaveProperty('stateSchemaMax');
    },
  );
});
