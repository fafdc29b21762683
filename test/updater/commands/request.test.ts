import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { publishStatus } from '../../../updater/status/publish-status.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { patienceMs, until } from '../../support/world/wait.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const pageUser = { uid: 61_234, gid: 61_234 };
let layout: Layout;

beforeEach(() => {
  layout = temporaryAppliance();
  mkdirSync(layout.requests, { mode: 0o700 });
});

async function settle(user: typeof pageUser | null): Promise<void> {
  await publishStatus(testAppliance(layout).appliance, idleState());
  const settings = { processControl: { kind: 'systemd' }, pageUser: user };
  writeFileSync(layout.settings, JSON.stringify(settings), { mode: 0o600 });
  if (user !== null) chownSync(layout.requests, user.uid, user.gid);
}

/** The real program, by itself. */
function check() {
  const program = [join(checkout, 'updater', 'main.ts'), 'check', '--json', '--root', layout.root];
  return execa(nodeBinary, program, { reject: false });
}

/** What the command leaves, where there is no updater that takes it. */
async function left(): Promise<{ own: string[]; besidePage: string[] }> {
  const asking = check();
  const isPlace = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const names = (path: string) => (isPlace(path) ? readdirSync(path).filter((name) => name.endsWith('.json')) : []);
  const found = await until('a request is left', patienceMs, () => {
    const [own, besidePage] = [names(layout.ownRequests), names(layout.requests)];
    return own.length + besidePage.length > 0 ? { own, besidePage } : null;
  });
  asking.kill('SIGKILL');
  await asking;
  return found;
}

/** These tests need root. */
describe('a command that asks', () => {
  it('leaves what root asks for where nobody else removes it', async () => {
    await settle(pageUser);
    expect(await left()).toEqual({ own: [expect.any(String)], besidePage: [] });
  });

  it('knocks again while nobody takes it', async () => {
    await settle(pageUser);
    const asking = check();
    for (const place of [layout.ownRequests, layout.requests]) {
      await until('a knock', patienceMs, () => {
        const facts = statSync(place, { throwIfNoEntry: false });
        return facts !== undefined && facts.mtimeMs > 1_000 ? facts : null;
      });
      utimesSync(place, 1, 1);
      await until('the next', patienceMs, () => (statSync(place).mtimeMs > 1_000 ? 'knocked' : null));
    }
    asking.kill('SIGKILL');
    await asking;
  });

  it.each([
    ['knows no such place', { lastOwnRequest: undefined }],
    ['has said nothing since the boot', null],
  ])('leaves it beside the page where the updater %s', async (_, change) => {
    await settle(pageUser);
    const status: object = JSON.parse(readFileSync(layout.status, 'utf8'));
    if (change === null) rmSync(layout.status);
    else writeFileSync(layout.status, JSON.stringify({ ...status, ...change }));
    expect(await left()).toEqual({ own: [], besidePage: [expect.any(String)] });
  });

  it('leaves it beside the page where there are no users', async () => {
    await settle(null);
    expect(await left()).toEqual({ own: [], besidePage: [expect.any(String)] });
  });

  it.each([
    ['run/requests is a file', null, () => layout.requests, 'file'],
    ['run/requests is missing', null, () => layout.requests, 'nothing'],
    ['run/own-requests is a file', pageUser, () => layout.ownRequests, 'file'],
    ['run/ is missing', pageUser, () => layout.run, 'nothing'],
    ['run/ is a file', pageUser, () => layout.run, 'file'],
  ] as const)('says what to do where %s', async (_, user, path, kind) => {
    await settle(user);
    rmSync(path(), { recursive: true, force: true });
    if (kind === 'file') writeFileSync(path(), '');
    const { exitCode, stderr } = await check();
    expect(exitCode).toBe(1);
    expect(JSON.parse(stderr)).toEqual({
      code: 'request-not-left',
      message: expect.stringContaining('could not be left for the updater'),
      next: expect.stringContaining('holdfast-updater run'),
    });
  });

  it('says that the disk is full where it is, and a run would not help', async () => {
    await settle(pageUser);
    mkdirSync(layout.ownRequests, { recursive: true });
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=4k,mode=0700', 'full', layout.ownRequests]);
    try {
      expect(() => writeFileSync(join(layout.ownRequests, 'ballast'), Buffer.alloc(8_192))).toThrow('ENOSPC');
      const { exitCode, stderr } = await check();
      expect(exitCode).toBe(1);
      expect(JSON.parse(stderr)).toEqual({
        code: 'request-not-left',
        message: expect.stringContaining('its disk is full'),
        next: 'Nothing was changed: make room there, then do the same again.',
      });
    } finally {
      await execa('umount', ['--lazy', layout.ownRequests]);
    }
  });

  it('keeps a request of root’s where the page’s place is no directory', async () => {
    await settle(pageUser);
    rmSync(layout.requests, { recursive: true });
    writeFileSync(layout.requests, '');
    expect((await left()).own).toHaveLength(1);
  });
});
