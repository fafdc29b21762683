import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { statusShape } from '../../../protocol/status.ts';
import { freshMemory } from '../../../updater/appliance/appliance.ts';
import { isBackingOff, noteRefused, troubleOf } from '../../../updater/choice/refused.ts';
import { replaceJson } from '../../../updater/effects/durable.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { takeRequest } from '../../../updater/requests/requests.ts';
import { installFirstRoot } from '../../../updater/trust/trust-store.ts';
import { generateRepositoryKeys, signedRoot } from '../../support/tuf-repository.ts';
import { digestOf, idleState, stateIn } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { resolveTransaction } from '../support/told-steps.ts';

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  const root = signedRoot(generateRepositoryKeys());
  installFirstRoot({ files: realFiles, layout }, root, sha256(root));
});

describe('a transaction that the network interrupts', () => {
  it('is carried on later; until then its trouble is told and the server is asked whether it still wants it', async () => {
    const { appliance } = testAppliance(layout);
    const memory = freshMemory(false);
    expect(await resolveTransaction(appliance, stateIn('resolved'), memory)).toEqual({ kind: 'interrupted' });
    const status = statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));
    expect(status.row).toBe('resolved');
    expect(status.why).toContain('(unreachable)');
    expect(status.checkIn.error?.code).toBe('unreachable');
  });

  it('does not leave an agent dead that only the updater starts', async () => {
    const { appliance, processes } = testAppliance(layout);
    processes.facts = { ...processes.facts, state: 'failed', pid: null };
    await resolveTransaction(appliance, stateIn('resolved'), freshMemory(false));
    expect(processes.orders).toEqual(['start']);
  });
});

describe('a person', () => {
  const id = '5f2b8a50-2f0e-4c55-9f6e-2a35c4a0f001';

  it('who asks for a retry does not wait for the back-off after a refusal', async () => {
    const { appliance } = testAppliance(layout);
    const manifest = digestOf('c');
    noteRefused(appliance, manifest, 'it was damaged on the way');
    expect(isBackingOff(appliance, manifest)).toBe(true);
    realFiles.makeDirectory(layout.requests, 0o700);
    replaceJson(realFiles, `${layout.requests}/${id}.json`, { v: 1, id, kind: 'retry' }, 0o600);
    // What was left on purpose stays left.
    const byHand = { manifest: digestOf('d'), version: '1.0.51', reason: 'by hand', verdict: 'by-hand' } as const;
    expect(await takeRequest(appliance, idleState({ quarantine: [byHand] }))).toBe('asked');
    expect(isBackingOff(appliance, manifest)).toBe(false);
  });

  it('is told why the release was refused, for as long as the server wants it', () => {
    const { appliance } = testAppliance(layout);
    const release = { component: 'app', version: '1.0.52', manifest: digestOf('c') } as const;
    const desired = { release, path: '/releases', openForS: 60, reasons: [] };
    noteRefused(appliance, digestOf('c'), '1.0.52 was not installed');
    expect(troubleOf(appliance, idleState(), desired)).toBe('1.0.52 was not installed');
    expect(troubleOf(appliance, idleState(), { ...desired, release: null })).toBeNull();
  });
});
