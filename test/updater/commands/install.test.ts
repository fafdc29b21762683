import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { handedIn, handedPath, hiddenFromUnit } from '../../../updater/identity/handed.ts';
import { takeRequest } from '../../../updater/requests/requests.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { type BuiltRelease, makeReleaseFixture, noise, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { patienceMs, until } from '../../support/world/wait.ts';
import { shippedUnits } from '../../systemd/units.ts';
import { setUp } from '../release/install.ts';
import { idleState } from '../support/states.ts';
import { testAppliance } from '../support/test-appliance.ts';

/** The data partition lies where the updater's unit sees it, the bundle in /tmp, where it does not. These tests need root. */
let fixture: ReleaseFixture;
let release: BuiltRelease;
let layout: Layout;
let dir = '';
beforeAll(async () => {
  fixture = await makeReleaseFixture();
  release = await fixture.build({ component: 'os', version: '13.1.0', image: noise('image', 600_000) });
});
afterAll(() => fixture[Symbol.dispose]());
beforeEach(() => {
  layout = layoutOf(mkdtempSync('/var/lib/hf-handed-'));
  dir = mkdtempSync(join(tmpdir(), 'hf-brought-'));
  onTestFinished(() => {
    for (const path of [layout.root, dir]) rmSync(path, { recursive: true, force: true });
  });
  for (const path of [layout.updater, layout.work, layout.run, layout.requests])
    mkdirSync(path, { recursive: true, mode: 0o700 });
  setUp(fixture, layout);
});

const settings = {
  processControl: { kind: 'systemd' },
  os: { slots: { '0': '/nowhere/0', '1': '/nowhere/1' }, running: '0' },
};

function install(file: string) {
  writeFileSync(layout.settings, JSON.stringify(settings), { mode: 0o600 });
  const child = execa(
    nodeBinary,
    [join(checkout, 'updater', 'main.ts'), 'install', file, '--json', '--root', layout.root],
    {
      reject: false,
    },
  );
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await child;
  });
  return child;
}

function opened() {
  const { appliance } = testAppliance(layout);
  return { ...appliance, settings: { ...appliance.settings, os: settings.os, pageUser: null } } as typeof appliance;
}

const handed = () => (existsSync(handedIn(layout)) ? readdirSync(handedIn(layout)) : []);
const requestLeft = () =>
  until('a request', patienceMs, () => readdirSync(layout.requests).find((name) => name.endsWith('.json')) ?? null);

describe('holdfast-updater install', () => {
  it('hands a bundle over that the updater does not see, and the updater makes it its own', async () => {
    const file = join(dir, 'os-13.1.0.hfb');
    copyFileSync(release.path, file);
    install(file);
    const name = await requestLeft();
    const asked = JSON.parse(readFileSync(join(layout.requests, name), 'utf8'));
    expect(asked).toMatchObject({ kind: 'install', shownAs: file, file: expect.stringContaining(handedIn(layout)) });
    expect(readFileSync(asked.file).equals(readFileSync(file))).toBe(true);
    rmSync(file);
    const event = await takeRequest(opened(), idleState());
    expect(event).toMatchObject({
      kind: 'take',
      choice: { component: 'os', source: { path: expect.stringMatching(/^upload-/) } },
    });
    expect([handed(), readdirSync(layout.work)]).toEqual([[], [expect.stringMatching(/^upload-.*\.hfb$/)]]);
  });

  it('says of a bad one what is wrong, by the name that was typed, and keeps nothing of it', async () => {
    const file = join(dir, 'bad.hfb');
    writeFileSync(file, 'no bundle');
    const child = install(file);
    await requestLeft();
    const appliance = opened();
    expect(await takeRequest(appliance, idleState())).toBeNull();
    await publishStatus(appliance, idleState());
    const { exitCode, stderr } = await child;
    expect([exitCode, JSON.parse(stderr)]).toEqual([
      1,
      expect.objectContaining({ message: expect.stringContaining(file) }),
    ]);
    expect(stderr).not.toContain(handedIn(layout));
    expect([handed(), readdirSync(layout.work)]).toEqual([[], []]);
  });

  it('leaves a bundle that the updater sees where it lies', async () => {
    const file = join(layout.root, 'os.hfb');
    copyFileSync(release.path, file);
    install(file);
    expect(JSON.parse(readFileSync(join(layout.requests, await requestLeft()), 'utf8'))).toMatchObject({ file });
    expect(handed()).toEqual([]);
  });

  it('refuses at once what is not there, is no file or too large', async () => {
    const large = join(dir, 'large.hfb');
    writeFileSync(large, '');
    truncateSync(large, 3 * 1024 ** 3);
    for (const [file, code] of [
      [join(dir, 'nowhere.hfb'), 'no-file'],
      [dir, 'file-unreadable'],
      [large, 'file-too-large'],
    ] as const) {
      const { exitCode, stderr } = await install(file);
      expect([exitCode, JSON.parse(stderr)]).toEqual([1, expect.objectContaining({ code })]);
    }
    expect([handed(), readdirSync(layout.requests)]).toEqual([[], []]);
  });

  it('refuses a copy that would leave too little room on the data partition, and leaves nothing of it', async () => {
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'data', layout.updater]);
    onTestFinished(async () => void (await execa('umount', [layout.updater])));
    const file = join(dir, 'os.hfb');
    copyFileSync(release.path, file);
    const { exitCode, stderr } = await install(file);
    expect([exitCode, JSON.parse(stderr)]).toEqual([1, expect.objectContaining({ code: 'no-space' })]);
    expect([handed(), readdirSync(layout.requests)]).toEqual([[], []]);
  });

  it('what a killed command left goes with the next run, and what a request waits for stays', async () => {
    mkdirSync(handedIn(layout), { mode: 0o700 });
    const [forgotten, asked, copying] = ['1', '2', '3'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`);
    const gone = 4_194_303;
    for (const [id = '', process] of [
      [forgotten, gone],
      [asked, gone],
      [copying, globalThis.process.pid],
    ] as const)
      writeFileSync(handedPath(layout, id, process), 'x');
    writeFileSync(join(handedIn(layout), 'strange'), 'x');
    writeFileSync(join(layout.requests, `${asked}.json`), JSON.stringify({ v: 1, id: asked, kind: 'rollback' }));
    await runUpdater(opened(), idleState(), false);
    expect(handed()).toEqual([expect.stringContaining(`${asked}`), expect.stringContaining(`${copying}`)]);
    await runUpdater(opened(), idleState(), false);
    expect(handed()).toEqual([expect.stringContaining(`${copying}`)]);
  });
});

describe('the places that are handed over from', () => {
  it('are those that the unit of the updater hides', () => {
    const unit = new Map(shippedUnits()).get('holdfast-updater.service') ?? '';
    expect(unit).toMatch(/^PrivateTmp=yes$/m);
    expect(unit).toMatch(/^ProtectHome=yes$/m);
    expect(unit).not.toMatch(/^(InaccessiblePaths|TemporaryFileSystem|RootDirectory|BindPaths|PrivateMounts)=/m);
    expect(hiddenFromUnit).toEqual(['/tmp', '/var/tmp', '/root', '/home', '/run/user']);
  });
});
