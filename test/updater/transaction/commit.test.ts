import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Layout } from '../../../protocol/layout.ts';
import { statusShape } from '../../../protocol/status.ts';
import { noteRefused, troubleOf } from '../../../updater/choice/refused.ts';
import { readKept } from '../../../updater/effects/kept-file.ts';
import { next } from '../../../updater/machine/table.ts';
import { tellOfDamage } from '../../../updater/recovery/tell-of-damage.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { commitSlot } from '../../../updater/transaction/commit.ts';
import { digestOf, events, idleState, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const hourMs = 3_600_000;
const committing = stateIn('committing');
const release = { component: 'app', version: '1.0.52', manifest: digestOf('c') } as const;
const desired = { release, path: '/releases', openForS: 0, reasons: [] };

let layout: Layout;
let box: ReturnType<typeof testAppliance>;
beforeEach(() => {
  layout = temporaryAppliance();
  box = testAppliance(layout);
  mkdirSync(layout.slot('app', committing.transaction?.slot ?? '2'), { recursive: true });
});

describe('a release that was refused', () => {
  it('and is committed later, from another copy, is no longer told as refused', () => {
    noteRefused(box.appliance, release.manifest, '1.0.52 was not installed');
    expect(troubleOf(box.appliance, idleState(), desired)).toBe('1.0.52 was not installed');
    commitSlot(box.appliance, committing);
    expect(troubleOf(box.appliance, next(committing, events.committed), desired)).toBeNull();
  });

  it('stays refused when another one is committed', () => {
    noteRefused(box.appliance, digestOf('d'), '1.0.53 was not installed');
    commitSlot(box.appliance, committing);
    const other = { ...desired, release: { ...release, version: '1.0.53', manifest: digestOf('d') } };
    expect(troubleOf(box.appliance, idleState(), other)).toBe('1.0.53 was not installed');
  });
});

describe('a file that was damaged and has been replaced', () => {
  const damage = () => {
    writeFileSync(layout.counter, '{"x');
    readKept(box.appliance.files, layout.counter, 100, z.strictObject({ next: z.int() }));
    tellOfDamage(box.appliance);
  };
  const notices = async () => {
    await publishStatus(box.appliance, idleState());
    const { notices: all = [] } = statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));
    return all.filter((text) => text.includes('counter.json'));
  };

  it('is told by the status for a day, once', async () => {
    damage();
    damage();
    expect(await notices()).toEqual([expect.stringMatching(/^updater\/counter\.json was damaged/)]);
    box.clock.nowMs += 23 * hourMs;
    expect(await notices()).toHaveLength(1);
    box.clock.nowMs += 2 * hourMs;
    expect(await notices()).toEqual([]);
  });

  it('is told until a release is committed', async () => {
    damage();
    commitSlot(box.appliance, committing);
    expect(await notices()).toEqual([]);
  });
});
