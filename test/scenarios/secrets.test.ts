import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { noSources, type SourcesFile } from '../../protocol/sources.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { committed, endWorld, makeWorld, paceS, patient, serves, trialOf } from './scene.ts';

/** Who edits a setting has no key before him that he could break. */
const world = makeWorld();
afterAll(() => endWorld(world));

const keyFiles = ['updater/identity.key', 'updater/agent.key', 'agent/keys/credentials.json'] as const;
/** The second copies of root's; each is made when the first was read whole. */
const keyCopies = ['updater/identity.key.good', 'updater/agent.key.good'];
/** What a person, or a program for a person, changes: each is whole text that is taken as it is found. */
const edited = ['agent/agent.json', 'updater/settings.json', 'updater/sources.json'] as const;

/** What is secret in a file with a key, as it is written anywhere: the base64 between the lines of PEM. */
function secretsIn(text: string): string[] {
  return [...text.matchAll(/PRIVATE KEY-----(?:\\n|\s)+([A-Za-z0-9+/=]+)/g)].map(([, secret = '']) => secret);
}

function filesOf(box: ApplianceBox): string[] {
  const { root } = box.options;
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

describe('the keys of an appliance', () => {
  it('S40: are in no file that anybody edits, and an edit that breaks its file harms none of them', async () => {
    await world.found('1.0.52', paceS);
    await world.publish(await world.builder.unpatched('1.0.56'));
    const box = await world.addAppliance('keys', {
      trial: trialOf(1_000),
      settings: patient,
    });
    const read = (name: string) => readFileSync(join(box.options.root, name));
    const sources: SourcesFile = { v: 1, current: { ...noSources, origin: 'page' }, previous: null };
    writeFileSync(box.layout.sources, JSON.stringify(sources), { mode: 0o600 });
    await box.powerOn();
    await serves(box, '1.0.52');

    // While it is off nothing comes and goes between the list of its files and the look at them.
    await box.powerOff();
    const secrets = [...new Set(keyFiles.flatMap((name) => secretsIn(read(name).toString('utf8'))))];
    expect(secrets).toHaveLength(2);
    const all = filesOf(box);
    expect(all).toEqual(expect.arrayContaining([...keyFiles, ...edited]));
    const holding = all.filter((name) => secrets.some((secret) => read(name).includes(secret)));
    expect(new Set(holding.filter((name) => !keyCopies.includes(name)))).toEqual(new Set(keyFiles));
    expect(holding).toContain('updater/identity.key.good');
    for (const name of holding) expect(statSync(join(box.options.root, name)).mode & 0o777).toBe(0o600);

    // As it happened: an expression that was to change one line took all that follows.
    const before = keyFiles.map(read);
    writeFileSync(box.layout.agentSettings, read('agent/agent.json').toString('utf8').replace(/:.*/s, ': '));
    await box.powerOn();
    await world.server.startRollout('1.0.56');
    await committed(world, 'keys', '1.0.56');
    await serves(box, '1.0.56');
    expect(keyFiles.map(read)).toEqual(before);
  });
});
