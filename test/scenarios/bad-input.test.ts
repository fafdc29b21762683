import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../protocol/status.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import { highestOf } from '../story/checks.ts';
import type { ReadingsSeen } from '../story/observations.ts';
import { acknowledged, historyOf, readings, whyOf } from '../story/outside.ts';
import { type BundlePlaces, placesIn, signAnew } from '../support/bad-input/damage.ts';
import {
  altered,
  alteredWithDigest,
  replayed,
  signedByAnother,
  statusWith,
  unsigned,
  type Wish,
} from '../support/bad-input/lies.ts';
import { type Lie, MisbehavingProxy } from '../support/bad-input/misbehaving-proxy.ts';
import { Findings } from '../support/killing/findings.ts';
import { askUpdater, halfWritten, lostEvents, stateOf, statusOf, wakeUpdater } from '../support/killing/look.ts';
import { answerHtml, answerStatus, flipByte, ignoreRange, redirect } from '../support/lying-server.ts';
import type { Misbehaviour } from '../support/release-server.ts';
import { stallBeforeHead, stallInBody } from '../support/stalling-server.ts';
import { cutFile, truncateAfter } from '../support/truncating-server.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { type Built, thinRuntime } from '../support/world/builder.ts';
import { until } from '../support/world/wait.ts';
import { World } from '../support/world/world.ts';

const caseMs = 120_000;
const seenWithinMs = 20_000;
const paceS = 0.25;
const version = '1.0.52';

/** What a case needs to know of the release before it can lie about it. */
interface Release {
  readonly places: BundlePlaces;
  readonly wish: Wish;
}

/** `refused`: the transaction ends. `carried on`: it waits in its row for a better network. `not believed`: a check-in. */
type Case = { readonly name: string; readonly codes: readonly string[] } & (
  | { readonly then: 'refused' | 'carried on'; readonly act: (release: Release) => Misbehaviour }
  | { readonly then: 'not believed'; readonly lie: (release: Release) => Lie }
);

const refused = (name: string, codes: readonly string[], act: (release: Release) => Misbehaviour): Case => ({
  name,
  codes,
  act,
  then: 'refused',
});
const carriedOn = (name: string, code: string, act: () => Misbehaviour): Case => ({
  name,
  codes: [code],
  act,
  then: 'carried on',
});
const notBelieved = (name: string, code: string, lie: (release: Release) => Lie): Case => ({
  name,
  codes: [code],
  lie,
  then: 'not believed',
});

const middle = (bytes: Buffer) => Math.floor(bytes.length / 2);

/** In the order in which metadata is looked at: each is met before the ones after it were ever trusted. */
const metadataCases: readonly Case[] = [
  refused('a page in place of the next root', ['tuf-malformed'], () => answerHtml('2.root.json', false)),
  refused('a flipped byte in the timestamp', ['tuf-threshold', 'tuf-malformed'], () =>
    flipByte('timestamp.json', middle),
  ),
  refused('a timestamp signed by another key', ['tuf-threshold'], () => signAnew('timestamp.json')),
  refused('a flipped byte in the snapshot', ['tuf-mismatch', 'tuf-threshold'], () => flipByte('snapshot.json', middle)),
  refused('a truncated snapshot', ['tuf-mismatch'], () => cutFile('snapshot.json', 200)),
  refused('a flipped byte in the targets', ['tuf-mismatch', 'tuf-threshold'], () => flipByte('targets.json', middle)),
];

const bundleCases: readonly Case[] = [
  refused('a flipped byte in a header of the bundle', ['not-a-bundle'], ({ places }) =>
    flipByte('.hfb', places.header),
  ),
  refused('a flipped byte in the root that it carries', ['tuf-mismatch'], ({ places }) =>
    flipByte('.hfb', places.root),
  ),
  refused('a flipped byte in its targets', ['tuf-mismatch', 'tuf-threshold', 'tuf-malformed'], ({ places }) =>
    flipByte('.hfb', places.targets),
  ),
  refused('a flipped byte in its manifest', ['wrong-manifest', 'bad-bundle'], ({ places }) =>
    flipByte('.hfb', places.manifest),
  ),
  refused('a flipped byte in a chunk', ['bad-chunk'], ({ places }) => flipByte('.hfb', places.chunk)),
  refused('a flipped byte behind its end', ['bad-bundle'], ({ places }) => flipByte('.hfb', places.trailer)),
  refused('a page in place of the bundle', ['range-ignored'], () => answerHtml('.hfb', false)),
  refused('a server that ignores ranges', ['range-ignored'], () => ignoreRange('.hfb')),
  refused('a bundle at another address', ['redirect-refused'], () => redirect('.hfb', 'http://127.0.0.1:9/portal')),
];

const networkCases: readonly Case[] = [
  carriedOn('a server that answers 500 for metadata', 'http-status', () => answerStatus('timestamp.json', 500)),
  carriedOn('a server that answers 500 for the bundle', 'http-status', () => answerStatus('.hfb', 500)),
  carriedOn('a bundle that breaks off', 'truncated', () => truncateAfter('.hfb', 1_000)),
  carriedOn('a bundle that ends early', 'truncated', () => cutFile('.hfb', 100_000)),
  carriedOn('a bundle that never begins', 'stalled', () => stallBeforeHead('.hfb')),
  carriedOn('a bundle that stands still', 'stalled', () => stallInBody('.hfb', 1_000)),
];

const lieCases: readonly Case[] = [
  notBelieved('an answer with other words', 'digest-mismatch', ({ wish }) => altered(wish)),
  notBelieved('an answer with other words and their digest', 'signature-wrong', ({ wish }) => alteredWithDigest(wish)),
  notBelieved('an answer signed by another key', 'key-unknown', ({ wish }) => signedByAnother(wish)),
  notBelieved('an answer that nobody signed', 'signature-missing', ({ wish }) => unsigned(wish)),
  notBelieved('an answer to an earlier question', 'signature-wrong', () => replayed()),
  notBelieved('a server that answers 500', 'signature-missing', () => statusWith(500, 'no')),
  notBelieved('a page that asks for a password', 'signature-missing', () => statusWith(200, '<html>log in</html>')),
];

const lanes = { metadata: metadataCases, bundle: bundleCases, network: networkCases, lies: lieCases } as const;
type LaneName = keyof typeof lanes;
const laneNames = ['metadata', 'bundle', 'network', 'lies'] as const;

interface Seen {
  readonly code: string | null;
  /** What a person reads about it. */
  readonly sentence: string;
  readonly why: string;
  readonly serves: string | null;
  readonly pidBefore: number | null;
  readonly pidAfter: number | null;
  /** Transactions that began. */
  readonly begun: number;
}

interface Arrived {
  readonly serves: string;
  readonly outcome: string;
  readonly before: ReadingsSeen;
  readonly after: ReadingsSeen;
  readonly halfWritten: readonly string[];
  readonly lost: readonly number[];
}

interface Lane {
  readonly name: LaneName;
  readonly box: ApplianceBox;
  readonly proxy: MisbehavingProxy;
}

const dir = mkdtempSync(join(tmpdir(), 'holdfast-bad-input-'));
const world = new World(dir, thinRuntime(join(dir, 'thin')));
const appliances: Lane[] = [];
const findings = new Findings<Case, Seen>(laneNames.flatMap((name) => lanes[name]));
const arrivals = new Findings<LaneName, Arrived>(laneNames);

/** The line of the transaction that was refused, once the updater rests again. */
function refusal(box: ApplianceBox, lastTx: number) {
  return until('a refusal', seenWithinMs, () => {
    const status = statusOf(box);
    const line = status.transactions.find(({ tx, outcome }) => tx > lastTx && wordOf(outcome) === 'refused');
    return line !== undefined && status.row === 'idle' ? { code: line.reason, sentence: line.text } : null;
  });
}

/** What stopped the transaction that stays in its row, in the words of `why`. */
function trouble(box: ApplianceBox, codes: readonly string[]) {
  return until(`trouble: ${codes.join(', ')}`, seenWithinMs, () => {
    const { why } = statusOf(box);
    const code = codes.find((one) => why.includes(`(${one})`));
    return code === undefined ? null : { code, sentence: why };
  });
}

const checkInError = (status: Status) => status.checkIn.error;

/** After several check-ins that were lied to, what the appliance says about the last one. */
async function disbelief({ box, proxy }: Lane) {
  const before = proxy.requests.length;
  return until('check-ins that are not believed', seenWithinMs, () => {
    wakeUpdater(box);
    const error = checkInError(statusOf(box));
    return error !== null && proxy.requests.length >= before + 6
      ? { code: error.code, sentence: `${error.message}; ${error.next}` }
      : null;
  });
}

async function look(lane: Lane, one: Case, release: Release): Promise<Seen> {
  const { box, proxy } = lane;
  const pidBefore = box.agentPid();
  const { lastTx } = stateOf(box);
  if (one.then === 'not believed') proxy.lie = one.lie(release);
  else {
    proxy.misbehaviour = one.act(release);
    // Whoever stands before it does not wait for the back-off after the refusal before.
    askUpdater(box, { kind: 'retry' });
  }
  const found =
    one.then === 'refused'
      ? await refusal(box, lastTx)
      : one.then === 'carried on'
        ? await trouble(box, one.codes)
        : await disbelief(lane);
  const seen = {
    ...found,
    why: await whyOf(box),
    serves: statusOf(box).agent.version,
    pidBefore,
    pidAfter: box.agentPid(),
    begun: stateOf(box).lastTx - lastTx,
  };
  proxy.lie = null;
  if (one.then === 'not believed') {
    await until('an answer that is believed', seenWithinMs, () => {
      wakeUpdater(box);
      return checkInError(statusOf(box)) === null ? true : null;
    });
  }
  return seen;
}

async function arrive({ name, box, proxy }: Lane, upTo: number, before: ReadingsSeen): Promise<Arrived> {
  proxy.misbehaviour = null;
  // What a bad network interrupted goes on by itself; what was refused does so too, after its back-off.
  if (name === 'metadata' || name === 'bundle') askUpdater(box, { kind: 'retry' });
  await until(`${version} arrives at ${name}`, 45_000, () => {
    const { row, app } = stateOf(box);
    return row === 'idle' && app.committed.version === version && statusOf(box).agent.version === version ? true : null;
  });
  const line = (await historyOf(box)).at(-1);
  const after = await readings(world, name, upTo);
  const lost = [...(await lostEvents(world, name, 'agent')), ...(await lostEvents(world, name, 'updater'))];
  const { committed } = stateOf(box).app;
  const outcome = line === undefined ? 'nothing' : wordOf(line.outcome);
  return { serves: committed.version, outcome, before, after, halfWritten: halfWritten(box), lost };
}

/** All cases of one appliance, then the honest server; nobody is let through before all lies were told. */
async function playLane(lane: Lane, release: Release, allTold: Promise<unknown>): Promise<() => Promise<void>> {
  const upTo = highestOf(await acknowledged(world, lane.name));
  const before = await readings(world, lane.name, upTo);
  for (const one of lanes[lane.name]) await findings.settle(one, () => look(lane, one, release));
  return () => allTold.then(() => arrivals.settle(lane.name, () => arrive(lane, upTo, before)));
}

async function play(bundle: Built): Promise<void> {
  await world.publish(bundle);
  const first = appliances[0];
  if (first === undefined) throw new RangeError('no appliances');
  const release = {
    component: 'app',
    version,
    manifest: bundle.manifest,
  } as const;
  const desired = { release, path: '/releases', openForS: 3_600, reasons: ['a lie'] };
  const about = {
    places: await placesIn(bundle.path, first.box.layout),
    wish: { desired, ackUpto: 1_000_000, nextInS: 0.2 },
  };
  await world.server.startRollout(version, ['metadata', 'bundle', 'network']);
  const told = Promise.withResolvers<void>();
  const endings = Promise.all(appliances.map((lane) => playLane(lane, about, told.promise)));
  const last = await endings;
  await world.server.startRollout(version, [...laneNames]);
  told.resolve();
  await Promise.all(last.map((ending) => ending()));
}

beforeAll(async () => {
  await world.found('1.0.49', paceS);
  const building = world.builder.app(version);
  for (const name of laneNames) {
    const proxy = new MisbehavingProxy(world.server.url);
    await proxy.start();
    const trial = { healthyMs: 300, deadlineMs: 30_000 };
    const settings = { sampleMs: 100, httpStallMs: 700 };
    const box = await world.addAppliance(name, { timerMs: 2_000, trial, settings }, proxy.url);
    await box.powerOn();
    appliances.push({ name, box, proxy });
  }
  for (const { name } of appliances) {
    await until(`${name} is there`, 20_000, async () =>
      (await world.server.appliance(name)).ackUpto.agent === 0 ? null : true,
    );
  }
  const bundle = await building;
  play(bundle).catch((error: unknown) => {
    findings.breakOff(error);
    arrivals.breakOff(error);
  });
}, caseMs);

afterAll(async () => {
  await world.end();
  await Promise.all(appliances.map(({ proxy }) => proxy.stop()));
  rmSync(dir, { recursive: true, force: true });
}, caseMs);

const named = (...cases: (readonly Case[])[]) => cases.flat().map((one) => [one.name, one] as const);

function expectUntouched(found: Seen): void {
  expect(found.serves).toBe('1.0.49');
  expect(found.pidBefore).not.toBeNull();
  expect(found.pidAfter).toBe(found.pidBefore);
}

describe('bad input', () => {
  it.each(named(metadataCases, bundleCases))(
    '%s is refused with a code and a sentence, and the agent runs on',
    async (_name, one) => {
      const found = await findings.found(one);
      expect(one.codes).toContain(found.code);
      expect(found.sentence).toMatch(/^1\.0\.52 was not installed: .+\. .+\.$/);
      expect(found.why).toContain(found.sentence);
      expectUntouched(found);
    },
    caseMs,
  );

  it.each(named(networkCases))(
    '%s is said in why, and the agent runs on',
    async (_name, one) => {
      const found = await findings.found(one);
      expect(found.why).toContain(`(${found.code})`);
      expectUntouched(found);
    },
    caseMs,
  );

  it.each(named(lieCases))(
    '%s is not believed: nothing begins, and the agent runs on',
    async (_name, one) => {
      const found = await findings.found(one);
      expect(one.codes).toContain(found.code);
      expect(found).toMatchObject({ begun: 0 });
      expect(found.sentence).toContain('nothing that it said was believed');
      expect(found.why).toContain(`not the server of this appliance (${found.code})`);
      expectUntouched(found);
    },
    caseMs,
  );

  it.each([...laneNames])(
    'once the server is honest again (%s), the update arrives, and nothing is lost',
    async (name) => {
      const arrived = await arrivals.found(name);
      expect(arrived).toMatchObject({ serves: version, outcome: 'committed', halfWritten: [], lost: [] });
      expect(arrived.before.count).toBeGreaterThan(0);
      expect(arrived.after).toEqual(arrived.before);
    },
    caseMs,
  );
});
