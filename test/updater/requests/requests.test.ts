import { randomUUID } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../../protocol/layout.ts';
import { type Status, statusShape } from '../../../protocol/status.ts';
import type { Appliance } from '../../../updater/appliance/appliance.ts';
import { hasRequest } from '../../../updater/appliance/request-name.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { settingsShape } from '../../../updater/identity/settings.ts';
import { takeRequest, takeRequestInStandBy } from '../../../updater/requests/requests.ts';
import { runUpdater } from '../../../updater/run/loop.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

/** Whatever the page's user makes of its places, a run goes on; and what root asks for is heard first. These tests need root. */
const pageUser = { uid: 61_234, gid: 61_234 };
let layout: Layout;

beforeEach(() => {
  layout = temporaryAppliance();
  for (const path of [layout.ownRequests, layout.requests, layout.page, layout.uploads])
    mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const path of [layout.requests, layout.uploads]) chownSync(path, pageUser.uid, pageUser.gid);
});

function opened(files: Files = realFiles): { appliance: Appliance; lines: string[] } {
  const { appliance, lines } = testAppliance(layout, files);
  const settings = settingsShape.parse({ processControl: { kind: 'systemd' }, pageUser });
  return { appliance: { ...appliance, settings }, lines };
}

type Asked = { kind: 'check' | 'retry' } | { kind: 'install'; file: string };

function leave(
  directory: string,
  asked: Asked,
  owner: { uid: number; gid: number },
  id: string = randomUUID(),
): string {
  const path = join(directory, `${id}.json`);
  writeFileSync(path, JSON.stringify({ v: 1, id, ...asked }), { mode: 0o600 });
  chownSync(path, owner.uid, owner.gid);
  return id;
}

const pageAsks = (asked: Asked, id?: string) => leave(layout.requests, asked, pageUser, id);
const rootAsks = (asked: Asked) => leave(layout.ownRequests, asked, { uid: 0, gid: 0 });
const answers = (lines: readonly string[]) => lines.filter((line) => line.startsWith('request '));
const answer = (): unknown => JSON.parse(readFileSync(join(layout.run, 'last-request.json'), 'utf8'));
const status = (): Status => statusShape.parse(JSON.parse(readFileSync(layout.status, 'utf8')));

class SystemError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`${code}: as the test wants it`);
    this.code = code;
  }
}

/** As the real ones, with something that is done first. */
function filesThat(before: Partial<Record<'create' | 'removeTree' | 'unlink', (path: string) => void>>): Files {
  return {
    ...realFiles,
    create: (path, mode) => {
      before.create?.(path);
      return realFiles.create(path, mode);
    },
    removeTree: (path) => {
      before.removeTree?.(path);
      realFiles.removeTree(path);
    },
    unlink: (path) => {
      before.unlink?.(path);
      realFiles.unlink(path);
    },
  };
}

describe('a run goes on where', () => {
  it.each(['takeRequest', 'takeRequestInStandBy'] as const)('an upload is a directory (%s)', async (by) => {
    const { appliance } = opened();
    const file = join(layout.uploads, `${randomUUID()}.hfb`);
    mkdirSync(join(file, 'a', 'b'), { recursive: true });
    const id = pageAsks({ kind: 'install', file });
    const take = { takeRequest, takeRequestInStandBy }[by];
    expect(await take(appliance, idleState())).toBeNull();
    expect(answer()).toMatchObject({ id, outcome: 'refused', code: 'no-file' });
    expect([readdirSync(layout.uploads), readdirSync(layout.requests)]).toEqual([[], []]);
  });

  it.each([
    ['too long', `${'x'.repeat(300)}.hfb`],
    ['no name', 'a\0b.hfb'],
  ])('the name of an upload is %s', async (_, name) => {
    const { appliance } = opened();
    const id = pageAsks({ kind: 'install', file: `${layout.uploads}/${name}` });
    expect(await takeRequest(appliance, idleState())).toBeNull();
    expect(answer()).toMatchObject({ id, outcome: 'refused' });
    expect(readdirSync(layout.requests)).toEqual([]);
  });

  it('a request becomes a directory after it was read', async () => {
    const id = randomUUID();
    const request = join(layout.requests, `${id}.json`);
    const { appliance } = opened(
      filesThat({
        create: (path) => {
          if (basename(path) !== 'last-request.json.tmp') return;
          rmSync(request, { force: true });
          mkdirSync(join(request, 'x'), { recursive: true });
        },
      }),
    );
    pageAsks({ kind: 'check' }, id);
    expect(await takeRequest(appliance, idleState())).toBe('asked');
    expect(existsSync(request)).toBe(false);
  });

  it.each(['EBUSY', 'EPERM', 'ENOTEMPTY', 'ELOOP', 'EISDIR'])(
    'an answered request cannot be removed (%s): it is not done twice, and the others are',
    async (code) => {
      const first = '00000000-0000-4000-8000-000000000001';
      const refuse = (path: string) => {
        if (basename(path) === `${first}.json`) throw new SystemError(code);
      };
      const { appliance, lines } = opened(filesThat({ removeTree: refuse, unlink: refuse }));
      pageAsks({ kind: 'check' }, first);
      const second = pageAsks({ kind: 'check' });
      await runUpdater(appliance, idleState(), false);
      expect(answers(lines).map((line) => line.split(' ')[1])).toEqual([`${first}:`, `${second}:`]);
      expect(lines.some((line) => line.includes(code))).toBe(true);
    },
  );

  it('what is no request cannot be removed: what is one is heard', async () => {
    const strange = '00000000-0000-4000-8000-000000000001.json';
    mkdirSync(join(layout.requests, strange));
    const { appliance, lines } = opened(
      filesThat({
        removeTree: (path) => {
          if (basename(path) === strange) throw new SystemError('ENOTEMPTY');
        },
      }),
    );
    const id = pageAsks({ kind: 'check' });
    expect(await takeRequest(appliance, idleState())).toBe('asked');
    expect(answer()).toMatchObject({ id });
    expect(lines.join('\n')).toContain('ENOTEMPTY');
  });

  it('the page asks again as soon as it is answered: the run ends', async () => {
    let left = 0;
    const again = (path: string) => {
      if (basename(path) !== 'last-request.json.tmp' || left > 200) return;
      left += 1;
      pageAsks({ kind: 'check' });
    };
    const { appliance, lines } = opened(filesThat({ create: again }));
    pageAsks({ kind: 'check' });
    await runUpdater(appliance, idleState(), false);
    expect(answers(lines)).toHaveLength(16);
  });

  it.each([
    ['a file', () => writeFileSync(layout.requests, '')],
    ['of somebody else', () => mkdirSync(layout.requests)],
  ])('run/requests is %s', async (_, make) => {
    rmSync(layout.requests, { recursive: true });
    make();
    if (existsSync(join(layout.requests, '.'))) chownSync(layout.requests, 61_235, 61_235);
    const { appliance, lines } = opened();
    expect(hasRequest(appliance)).toBe(false);
    expect(await takeRequest(appliance, idleState())).toBeNull();
    expect(lines.join('\n')).toContain('run/requests');
    const id = rootAsks({ kind: 'check' });
    expect(hasRequest(appliance)).toBe(true);
    expect(await takeRequest(appliance, idleState())).toBe('asked');
    expect(answer()).toMatchObject({ id });
  });
});

describe('requests that are refused', () => {
  it('keep none that waits behind them: one run answers all', async () => {
    const refused = [1, 2, 3].map(() => pageAsks({ kind: 'install', file: '/nowhere' }));
    const asked = pageAsks({ kind: 'check' });
    const { appliance, lines } = opened();
    await runUpdater(appliance, idleState(), false);
    for (const id of refused) expect(answers(lines).find((line) => line.includes(id))).toContain('refused');
    expect(answers(lines).filter((line) => line.includes(asked))).not.toEqual([]);
    expect(readdirSync(layout.requests)).toEqual([]);
  });
});

describe('what root asks for', () => {
  it('is heard before what the page asks for, and its answer is not lost behind the page’s', async () => {
    for (let n = 0; n < 5; n += 1) pageAsks({ kind: 'check' }, `00000000-0000-4000-8000-00000000000${n}`);
    const id = rootAsks({ kind: 'check' });
    const { appliance, lines } = opened();
    await runUpdater(appliance, idleState(), false);
    expect(answers(lines)[0]).toContain(id);
    expect(answers(lines)).toHaveLength(6);
    expect(status().lastRequest?.id).not.toBe(id);
    expect(status().lastOwnRequest).toMatchObject({ id, outcome: 'failed', code: expect.any(String) });
    expect(readdirSync(layout.ownRequests)).toEqual([]);
  });

  it('may be a bundle that lies anywhere', async () => {
    const { appliance } = opened();
    rootAsks({ kind: 'install', file: join(layout.root, 'nowhere.hfb') });
    expect(await takeRequest(appliance, idleState())).toBeNull();
    expect(answer()).toMatchObject({ code: 'no-file' });
  });
});
