import { copyFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { freshMemory } from '../../../updater/appliance/appliance.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { takeFromStick } from '../../../updater/requests/stick.ts';
import { ask } from '../../../updater/run/ask.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { loadTrust } from '../../../updater/trust/trust-store.ts';
import { makeReleaseFixture } from '../../support/bundle-fixture.ts';
import { statusOn } from '../support/record-appliance.ts';
import { digestOf, idleState, installed } from '../support/states.ts';
import { inQuarantine, StickBox } from '../support/stick-box.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { withOperations } from '../support/wrapped-files.ts';

let box: StickBox;
beforeEach(async () => {
  box = await StickBox.make();
});

describe('a release that appears on a stick', () => {
  it('is taken without a network, as a person would install it, when it is newer than what runs', async () => {
    const release = await box.build('1.0.54');
    box.put(release);
    const appliance = box.appliance();
    const event = await ask(appliance, idleState(), freshMemory(false));
    expect(event).toMatchObject({
      kind: 'take',
      choice: {
        kind: 'install',
        version: '1.0.54',
        manifest: release.manifest,
        waits: false,
        source: { kind: 'file' },
      },
    });
  });

  it('is left alone where no directory for sticks is set', async () => {
    box.put(await box.build('1.0.54'));
    expect(await takeFromStick(testAppliance(box.layout).appliance, idleState())).toBeNull();
  });

  it.each(['1.0.49', '1.0.40'])('is not taken when it is %s and 1.0.49 runs', async (version) => {
    box.put(await box.build(version));
    expect(await box.taken()).toBeNull();
    expect(box.told()).toMatchObject([{ version, text: `${version} is not newer than 1.0.49, which runs.` }]);
  });

  it('is the highest of those that are there, by its manifest and not by its name', async () => {
    box.put(await box.build('1.0.9'), 'z-newest.hfb');
    box.put(await box.build('1.0.100'), 'a.hfb');
    box.put(await box.build('1.0.54'), 'm.HFB');
    expect(await box.taken()).toBe('1.0.100');
  });

  it('is found two directories down and no deeper', async () => {
    const release = await box.build('1.0.54');
    const deep = join(box.stick, 'releases', 'old');
    mkdirSync(deep, { recursive: true });
    copyFileSync(release.path, join(deep, 'app.hfb'));
    expect(await box.taken()).toBeNull();
    copyFileSync(release.path, join(box.stick, 'releases', 'app.hfb'));
    expect(await box.taken()).toBe('1.0.54');
  });

  it('gives way to the next one when it is a good name around something bad', async () => {
    const damaged = box.put(await box.build('1.0.60'));
    box.put(await box.build('1.0.54'));
    const bytes = readFileSync(damaged);
    writeFileSync(damaged, bytes.subarray(0, bytes.length - 4_000));
    expect(await box.taken()).toBe('1.0.54');
    expect(box.told().find(({ path }) => path === damaged)).toMatchObject({ version: null, code: 'truncated' });
  });

  it('is refused below the floor, when it was revoked, and when somebody else signed it', async () => {
    using foreign = await makeReleaseFixture();
    const files = { 'main.js': Buffer.from('x') };
    const revoked = await box.build('1.0.70');
    await box.fixture.revoke(revoked);
    box.put(await foreign.build({ version: '9.9.9', files }), 'foreign.hfb');
    box.put(await box.build('1.0.71', 0), 'low.hfb');
    box.put(revoked, 'revoked.hfb');
    expect(await box.taken()).toBeNull();
    // What was looked at before the newer targets came is looked at again.
    expect(await box.taken()).toBeNull();
    expect(box.told().map(({ code }) => code)).toEqual(['tuf-mismatch', 'floor', 'revoked']);
  });

  it('is taken by an appliance in safe mode whatever its version, but not below the floor', async () => {
    box.put(await box.build('1.0.40'));
    box.put(await box.build('1.0.41', 0));
    expect(await box.taken(idleState({ row: 'safe' }))).toBe('1.0.40');
  });
});

describe('by itself, and not by itself', () => {
  it.each(['trial', 'by hand'] as const)(
    'does not take what is in quarantine (%s); after a retry it does',
    async (why) => {
      const release = await box.build('1.0.54');
      box.put(release);
      const state = inQuarantine(release, why);
      expect(await box.taken(state)).toBeNull();
      expect(box.told(state)[0]?.text).toContain('1.0.54 is not installed automatically');
      expect(await box.taken(await box.retry(state))).toBe('1.0.54');
    },
  );

  it("takes a file once: what failed after that is a person's to try again", async () => {
    box.put(await box.build('1.0.54'));
    expect(await box.taken()).toBe('1.0.54');
    expect(await box.taken()).toBeNull();
    expect(box.told()[0]?.text).toContain('was tried from this stick');
    expect(await box.taken(await box.retry(idleState()))).toBe('1.0.54');
  });

  it('takes it again when it was put in again', async () => {
    const path = box.put(await box.build('1.0.54'));
    expect(await box.taken()).toBe('1.0.54');
    rmSync(path);
    expect(await box.taken()).toBeNull();
    expect(box.told()).toEqual([]);
    box.put(await box.build('1.0.54'));
    expect(await box.taken()).toBe('1.0.54');
  });

  it('does not bring back what ran before, nor what is older than that, because the stick is still there', async () => {
    const previous = installed('0', '1.0.54', 'a');
    const back = idleState({ app: { committed: installed('1', '1.0.49', 'b'), previous } });
    for (const version of ['1.0.53', '1.0.54']) box.put(await box.build(version));
    expect(await box.taken(back)).toBeNull();
    expect(box.told(back).map(({ text }) => text)).toEqual([
      '1.0.53 is not newer than 1.0.54, which ran before, so only a person can install it.',
      '1.0.54 is not newer than 1.0.54, which ran before, so only a person can install it.',
    ]);
    box.put(await box.build('1.0.55'));
    expect(await box.taken(back)).toBe('1.0.55');
  });

  it('does not take anything from an appliance for which an operator chose a release', async () => {
    box.put(await box.build('1.0.54'));
    box.serverSaid({ release: null, assigned: true });
    expect(await box.taken()).toBeNull();
    expect(box.told()[0]?.text).toContain('An operator chose the release of this appliance');
    box.serverSaid({ release: null });
    expect(await box.taken()).toBe('1.0.54');
  });

  it('does not take what is older than what a person went back from', async () => {
    box.put(await box.build('1.0.52'));
    const state = idleState({
      quarantine: [{ manifest: digestOf('e'), version: '1.0.53', reason: 'by hand', verdict: 'by-hand' }],
    });
    expect(await box.taken(state)).toBeNull();
    expect(box.told(state)[0]?.text).toContain('A person went back from 1.0.53');
  });

  it('opens an unchanged file once, and a changed one again', async () => {
    const path = box.put(await box.build('1.0.40'));
    let opened = 0;
    const counting = withOperations({
      openRead: (name) => {
        if (name === path) opened += 1;
        return realFiles.openRead(name);
      },
    });
    for (let run = 0; run < 3; run += 1) await box.taken(idleState(), counting);
    expect(opened).toBe(1);
    utimesSync(path, 1_000_000, 1_000_000);
    await box.taken(idleState(), counting);
    expect(opened).toBe(2);
  });
});

describe('a whole run with a stick', () => {
  it('tells in the status what lies there and why it was not taken', async () => {
    box.put(await box.build('1.0.40'));
    const appliance = box.appliance();
    await runUpdater(appliance, idleState(), false);
    expect(statusOn(box.layout).sticks).toMatchObject([
      { version: '1.0.40', text: expect.stringContaining('not newer') },
    ]);
  });

  it('learns what was revoked from a stick, though it takes nothing of it', async () => {
    const revoked = await box.build('1.0.54');
    await box.fixture.revoke(revoked);
    box.put(await box.build('1.0.40'));
    await box.taken();
    const listed = Object.keys(
      loadTrust({ files: realFiles, layout: box.layout }).targets?.metadata.signed.targets ?? {},
    );
    expect(listed).toEqual(['app-1.0.40.manifest.json']);
  });
});
