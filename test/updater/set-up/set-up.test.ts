import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Claim, decodeClaim } from '../../../protocol/claim.ts';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { setUp, whatRuns } from '../../../updater/set-up/setup.ts';
import { TestServer } from '../../support/test-server.ts';
import { generateRepositoryKeys, signedRoot } from '../../support/tuf-repository.ts';
import { saveFirstState } from '../support/record-appliance.ts';
import { idleState } from '../support/states.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const other = 'ab'.repeat(32);
/** What comes after the enrolment. */
const enrolled = 'truncated';

const development = { processControl: { kind: 'supervisor', socket: '/nowhere', isolation: 'none' } };

/** Sets an appliance up by a claim of a real server, as somebody changed it. Its factory is none: that is found after the
 * enrolment. */
async function setUpBy(
  change: (claim: Claim) => Partial<Claim>,
  settings: object | null = development,
  before: (layout: Layout) => void = () => undefined,
  factory: readonly string[] = ['app', 'updater'],
) {
  await using bench = await TestServer.start();
  await bench.publish('1.0.0');
  const root = mkdtempSync(join(tmpdir(), 'hf-set-up-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const claim = decodeClaim(await bench.claim('alpha'));
  const lines: string[] = [];
  const order = { files: realFiles, http: makeHttp(), layout: layoutOf(root), factory: root, version: '1.0.0' };
  mkdirSync(order.layout.updater);
  if (settings !== null) writeFileSync(order.layout.settings, JSON.stringify(settings));
  for (const component of factory) writeFileSync(join(root, `${component}-0.0.0.hfb`), 'no bundle');
  before(order.layout);
  const done = setUp({ ...order, claim: { ...claim, ...change(claim) }, log: (line) => lines.push(line) });
  const code = await done.then(
    () => 'done',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );
  return { code, lines, identity: realFiles.stat(order.layout.identity), layout: order.layout };
}

describe('a claim', () => {
  it('is taken by the server whose key and root it pins', async () => {
    expect(await setUpBy(() => ({}))).toMatchObject({
      code: enrolled,
      lines: [expect.stringMatching(/^claimed as alpha/)],
    });
  });

  it('whose key the server has no more is taken when the pinned root leads to the key that it has now', async () => {
    const { code, lines } = await setUpBy(() => ({ key: other }));
    expect(code).toBe(enrolled);
    expect(lines).toEqual([expect.stringContaining('another key'), expect.stringMatching(/^claimed as alpha/)]);
  });

  it('is not given to a server whose key and root are others', async () => {
    const { code, lines, identity } = await setUpBy(() => ({ key: other, root: other }));
    expect(code).toBe('server-not-pinned');
    expect(lines.join()).not.toContain('claimed as');
    expect(identity).toBeNull();
  });

  it('is taken by an appliance whose identity is damaged, when it is of the server that it belonged to', async () => {
    const damaged = (layout: Layout) => writeFileSync(layout.identity, '{"x');
    const { code, lines } = await setUpBy(() => ({}), development, damaged);
    expect([code, lines]).toEqual([enrolled, [expect.stringMatching(/^claimed as alpha/)]]);
  });

  it('of another server is refused there, and nothing is sent', async () => {
    const damaged = (layout: Layout) => {
      writeFileSync(layout.identity, '{"x');
      mkdirSync(join(layout.trust, 'roots'), { recursive: true });
      writeFileSync(join(layout.trust, 'root.json'), signedRoot(generateRepositoryKeys()));
    };
    const { code, lines } = await setUpBy(() => ({}), development, damaged);
    expect([code, lines]).toEqual(['already-claimed', []]);
  });

  it('of another server is refused also where only the copy of the roots is left', async () => {
    const damaged = (layout: Layout) => {
      writeFileSync(layout.identity, '{"x');
      const roots = [signedRoot(generateRepositoryKeys()).toString('base64')];
      writeFileSync(layout.trustBegins, JSON.stringify({ v: 1, roots }));
    };
    const { code, lines } = await setUpBy(() => ({}), development, damaged);
    expect([code, lines]).toEqual(['already-claimed', []]);
  });

  it('gives an appliance that lost its root of trust another one, and a copy of it', async () => {
    const seen: { roots: () => unknown } = { roots: () => null };
    const damaged = (layout: Layout) => {
      mkdirSync(layout.trust);
      writeFileSync(join(layout.trust, 'root.json'), 'garbage');
      seen.roots = () => JSON.parse(readFileSync(layout.trustBegins, 'utf8')).roots;
    };
    const { code } = await setUpBy(() => ({}), development, damaged);
    expect(code).toBe(enrolled);
    expect(seen.roots()).toHaveLength(1);
  });

  it.each([[[]], [['app']], [['updater']]])('is not used up where of the factory only %j is there', async (there) => {
    const { code, lines, identity } = await setUpBy(
      () => ({}),
      development,
      () => undefined,
      there,
    );
    expect([code, lines, identity]).toEqual(['factory-missing', [], null]);
  });

  it('is not used up on a machine that has neither settings nor the users of the units', async () => {
    const { code, lines, identity } = await setUpBy(() => ({}), null);
    expect([code, lines, identity]).toEqual(['users-missing', [], null]);
  });
});

describe("a partition whose directories are open to all, and are another user's", () => {
  it('has owner and mode of each put right by set-up', async () => {
    const self = process.getuid?.() ?? 0;
    // Without root there is nobody else to own them.
    const stranger = self === 0 ? 64_321 : self;
    const placesOf = ({ updater, settings, trust, slots, page }: Layout) =>
      [
        [updater, 0o755, 0o700],
        [settings, 0o644, 0o600],
        [trust, 0o777, 0o700],
        [slots, 0o777, 0o755],
        [page, 0o777, 0o750],
      ] as const;
    const open = (layout: Layout) => {
      for (const path of [layout.trust, layout.slots, layout.page]) mkdirSync(path);
      for (const [path, mode] of placesOf(layout)) {
        chownSync(path, stranger, stranger);
        chmodSync(path, mode);
      }
    };
    // Another server's key and root: it is refused there, and what set-up does before that is seen alone.
    const { code, layout } = await setUpBy(() => ({ key: other, root: other }), development, open);
    expect(code).toBe('server-not-pinned');
    const found = placesOf(layout).map(([path]) => statSync(path));
    expect(found.map(({ uid, mode }) => [uid, mode & 0o7777])).toEqual(
      placesOf(layout).map(([, , mode]) => [self, mode]),
    );
  });
});

describe('what an appliance runs that was set up', () => {
  it('is what its record says, and its factory only before there is one', () => {
    const layout = temporaryAppliance();
    const place = { files: realFiles, layout };
    const factory = [{ version: '1.0.2' }, { version: '1.1.0' }] as const;
    expect(whatRuns(place, ...factory)).toEqual({ app: '1.0.2', updater: '1.1.0' });
    saveFirstState(layout, idleState());
    const { app, updater } = idleState();
    expect(whatRuns(place, ...factory)).toEqual({ app: app.committed.version, updater: updater.committed.version });
    expect(app.committed.version).not.toBe('1.0.2');
  });
});
