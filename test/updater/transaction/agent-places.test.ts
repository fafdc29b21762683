import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { agentCredentialsShape } from '../../../protocol/claim.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { generateKeyPair, privateKeyToPem } from '../../../protocol/trust/ed25519.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { mendAgentKeys, tidyAgentPlaces } from '../../../updater/transaction/agent-places.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';
import { systemError, withOperations } from '../support/wrapped-files.ts';

/** Users exist only where the updater is root, as on an appliance. */
const agentUser = process.getuid?.() === 0 ? { uid: 4_711, gid: 4_711 } : null;
const pem = privateKeyToPem(generateKeyPair().privateKey);

let layout: Layout;
beforeEach(() => {
  layout = temporaryAppliance();
  writeFileSync(layout.agentKey, pem, { mode: 0o600 });
  writeFileSync(layout.identityKey, 'the key of the updater', { mode: 0o600 });
});

function tidy(files = realFiles) {
  const { appliance, lines } = testAppliance(layout);
  tidyAgentPlaces({ ...appliance, files, settings: { ...appliance.settings, agentUser } });
  return { identity: appliance.identity, lines };
}

function expectCredentials({ appliance, url }: { appliance: string; url: string }): void {
  const facts = lstatSync(layout.agentCredentials);
  expect(facts.isFile() && (facts.mode & 0o777) === 0o600).toBe(true);
  if (agentUser !== null) expect(facts.uid).toBe(agentUser.uid);
  const found = agentCredentialsShape.parse(JSON.parse(readFileSync(layout.agentCredentials, 'utf8')));
  expect(found).toMatchObject({ appliance, url, privateKey: pem });
}

const damages: Readonly<Record<string, () => unknown>> = {
  'are gone': () => undefined,
  'are something else': () => {
    mkdirSync(layout.agentKeys);
    writeFileSync(layout.agentCredentials, 'mine now');
  },
  "have somebody else's key": () => {
    tidy();
    const found = JSON.parse(readFileSync(layout.agentCredentials, 'utf8'));
    const privateKey = privateKeyToPem(generateKeyPair().privateKey);
    writeFileSync(layout.agentCredentials, JSON.stringify({ ...found, privateKey }));
  },
  'lead to another server': () => {
    tidy();
    const found = JSON.parse(readFileSync(layout.agentCredentials, 'utf8'));
    writeFileSync(layout.agentCredentials, JSON.stringify({ ...found, url: 'http://127.0.0.1:1' }));
  },
  'may not be read': () => {
    tidy();
    chmodSync(layout.agentCredentials, 0);
  },
  'are a directory': () => mkdirSync(join(layout.agentCredentials, 'in', 'it'), { recursive: true }),
  'are a pipe': async () => {
    mkdirSync(layout.agentKeys);
    await execa('mkfifo', [layout.agentCredentials]);
  },
  'are larger than any': () => {
    mkdirSync(layout.agentKeys);
    writeFileSync(layout.agentCredentials, ' '.repeat(100_000));
  },
  "are a link to the updater's key": () => {
    mkdirSync(layout.agentKeys);
    symlinkSync(layout.identityKey, layout.agentCredentials);
  },
  "lie in a directory that is a link to the updater's": () => symlinkSync(layout.updater, layout.agentKeys),
  'have a directory where the new ones are written': () =>
    mkdirSync(join(layout.agentKeys, 'credentials.json.tmp', 'taken'), { recursive: true }),
  'have a link where the new ones are written': () => {
    mkdirSync(layout.agentKeys);
    symlinkSync(layout.identityKey, join(layout.agentKeys, 'credentials.json.tmp'));
  },
};

describe("the agent's credentials", () => {
  it.each(Object.keys(damages))('are as setup wrote them again, where they %s', async (what) => {
    await damages[what]?.();
    const { identity } = tidy();
    expectCredentials(identity);
    expect(lstatSync(layout.agentKeys).isDirectory()).toBe(true);
    expect(readFileSync(layout.identityKey, 'utf8')).toBe('the key of the updater');
    expect(existsSync(join(layout.updater, 'credentials.json'))).toBe(false);
  });

  it.each(Object.keys(damages))('are looked at in each run, and restored where they %s', async (what) => {
    await damages[what]?.();
    const { appliance } = testAppliance(layout);
    const place = { ...appliance, settings: { ...appliance.settings, agentUser } };
    expect(mendAgentKeys(place)).toBe('restored');
    expectCredentials(appliance.identity);
    expect(mendAgentKeys(place)).toBe('as-they-were');
  });

  it.each(["have somebody else's key", 'lead to another server'])(
    'are left to the agent without a copy of its key, where they %s',
    async (what) => {
      await damages[what]?.();
      rmSync(layout.agentKey);
      rmSync(`${layout.agentKey}.good`, { force: true });
      const { appliance } = testAppliance(layout);
      expect(mendAgentKeys({ ...appliance, settings: { ...appliance.settings, agentUser } })).toBe('as-they-were');
    },
  );

  it.each(['are gone', 'are something else', 'are larger than any', 'may not be read'])(
    'are lost without a copy of its key, where they %s',
    async (what) => {
      await damages[what]?.();
      rmSync(layout.agentKey);
      rmSync(`${layout.agentKey}.good`, { force: true });
      const { appliance } = testAppliance(layout);
      expect(mendAgentKeys({ ...appliance, settings: { ...appliance.settings, agentUser } })).toBe('lost');
    },
  );

  it('are left alone where they are right', () => {
    tidy();
    const before = statSync(layout.agentCredentials).ino;
    const { lines } = tidy();
    expect([statSync(layout.agentCredentials).ino, lines]).toEqual([before, []]);
  });

  it('cost a run no write where they are right', () => {
    const { appliance } = testAppliance(layout);
    const place = { ...appliance, settings: { ...appliance.settings, agentUser } };
    mendAgentKeys(place);
    const refused = () => {
      throw systemError('EROFS');
    };
    const { appliance: onReadOnly, lines } = testAppliance(
      layout,
      withOperations({ setOwnerOf: refused, setModeOf: refused, create: refused, makeDirectory: refused }),
    );
    expect(mendAgentKeys({ ...onReadOnly, settings: place.settings })).toBe('as-they-were');
    expect(lines).toEqual([]);
  });
});

describe("the agent's corner of run/", () => {
  it.each([
    ['a directory with something in it', () => mkdirSync(join(layout.agentSocket, 'in', 'it'), { recursive: true })],
    ['a file', () => writeFileSync(layout.agentSocket, '')],
    [
      'a link to process control',
      () => symlinkSync(join(layout.run, 'control', 'supervisor.sock'), layout.agentSocket),
    ],
  ])('holds no %s in the place of its socket', (_, make) => {
    make();
    tidy();
    expect(existsSync(layout.agentSocket)).toBe(false);
  });

  it('has a hint that is as empty as it was made, with its owner and mode, where somebody filled it', () => {
    writeFileSync(layout.hint, 'x'.repeat(100_000));
    chmodSync(layout.hint, 0o620);
    if (agentUser !== null) realFiles.setOwner(layout.hint, agentUser.uid, 0);
    tidy();
    expect(realFiles.stat(layout.hint)).toMatchObject({
      size: 0,
      mode: 0o620,
      uid: agentUser?.uid ?? expect.any(Number),
    });
  });

  it('holds nothing that takes its room', () => {
    writeFileSync(join(layout.agentRun, 'ballast'), 'x'.repeat(100_000));
    tidy();
    expect(realFiles.list(layout.agentRun)).toEqual([]);
  });
});

describe('rights', () => {
  it('that were taken off its directories and files are there again, and only on its own', () => {
    const twin = join(layout.root, 'twin');
    writeFileSync(layout.agentSettings, '{}');
    writeFileSync(layout.stateDb, 'x');
    writeFileSync(twin, 'not its own');
    rmSync(layout.outboxDb, { force: true });
    symlinkSync(twin, layout.outboxDb);
    for (const path of [layout.stateDb, layout.agentSettings, twin]) chmodSync(path, 0);
    if (agentUser !== null)
      for (const path of [layout.stateDb, layout.agentSettings]) realFiles.setOwner(path, agentUser.uid, agentUser.gid);
    for (const path of [layout.agentRun, layout.agent]) chmodSync(path, 0);
    tidy();
    const modeOf = (path: string) => lstatSync(path).mode & 0o777;
    expect([modeOf(layout.agent), modeOf(layout.agentRun)]).toEqual([0o700, 0o755]);
    expect([modeOf(layout.stateDb), modeOf(layout.agentSettings)]).toEqual([0o600, 0o600]);
    expect(modeOf(twin)).toBe(0);
  });
});

describe('a disk that refuses', () => {
  it.each(['sweep', 'create', 'setOwnerOf', 'setModeOf', 'rename', 'unlink'] as const)(
    '%s stops nothing, and is told of',
    (operation) => {
      writeFileSync(layout.agentSocket, '');
      chmodSync(layout.agent, 0o100);
      symlinkSync('/nowhere', layout.agentKeys);
      const refusing = () => {
        throw systemError('EIO');
      };
      const { lines } = tidy(withOperations({ [operation]: refusing }));
      if (operation !== 'setOwnerOf' || agentUser !== null) expect(lines.join()).toContain('could not be put in order');
    },
  );
});
