import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256 } from '../../protocol/digest.ts';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import type { StateBody } from '../../protocol/state-record.ts';
import { privateKeyFromPem, publicKeyOf } from '../../protocol/trust/ed25519.ts';
import type { Appliance } from '../../updater/appliance/appliance.ts';
import { writeNewFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import type { ProgramEnd } from '../../updater/effects/programs.ts';
import type { Identity } from '../../updater/identity/identity.ts';
import { settingsShape } from '../../updater/identity/settings.ts';
import { launchCount } from '../../updater/launch/count.ts';
import { countUpdaterEnd } from '../../updater/launch/end.ts';
import { createRecordFiles } from '../../updater/record/record-store.ts';
import { firstState, loadState, saveState } from '../../updater/record/state-store.ts';
import { openState } from '../../updater/recovery/recover-state.ts';
import { noDevices } from '../../updater/release/device-slots.ts';
import { resolveFromFile } from '../../updater/release/resolve-release.ts';
import { readSeal } from '../../updater/release/verify-slot.ts';
import { sealSlot, writeSlot } from '../../updater/release/write-slot.ts';
import { runUpdater } from '../../updater/run/loop.ts';
import { openCounter } from '../../updater/server/counter.ts';
import { openEvents } from '../../updater/server/events.ts';
import { probe } from '../../updater/transaction/probe.ts';
import { installFirstRoot } from '../../updater/trust/trust-store.ts';
import { crashLoop } from '../../updater/verdict/rescue.ts';
import type { BuiltRelease, ReleaseFixture } from '../support/bundle-fixture.ts';
import { anything } from '../updater/release/install.ts';
import { TestClock } from '../updater/support/test-clock.ts';
import { type HealthSocket, ModelAgent } from './model-agent.ts';
import { modelServer, nobody, type Served } from './model-server.ts';

/** Runs until nothing changes any more; more would be a recovery without an end (I8). */
const runsMax = 12;
/** Runs that a crash loop of what is committed needs, until it is one; each ends with the agent given up. */
const runsOfLoop = crashLoop.bursts + 1;
const id = '01234567-89ab-4cde-8f01-23456789abcd';
export const originalData = 'of the first day';
export const outboxText = 'acknowledged records, counters, the ledger';

function identityOf(answerKey: string): Identity {
  return {
    appliance: 'hf-00000000000000000001',
    name: 'one',
    site: 'x',
    url: 'http://127.0.0.1:9',
    answerKeys: [answerKey],
    rootDigest: sha256('root'),
  };
}

export function modelLayout(socket: string): Layout {
  return { ...layoutOf('/hf'), agentSocket: socket };
}

function put(files: Files, path: string, content: string | Buffer): void {
  writeNewFile(files, path, Buffer.from(content), 0o600);
}

/** What set-up leaves: factory installed by the production code, records, the agent's first data, and bundles on a stick. */
export async function setUpOn(files: Files, layout: Layout, fixture: ReleaseFixture, built: readonly BuiltRelease[]) {
  for (const path of [
    '/stick',
    layout.root,
    layout.updater,
    layout.agent,
    layout.agentFactory,
    layout.slots,
    layout.runtimes,
    layout.run,
  ]) {
    files.makeDirectory(path, 0o755);
  }
  for (const path of [layout.work, layout.snapshots, layout.evidence, layout.trust]) files.makeDirectory(path, 0o700);
  installFirstRoot({ files, layout }, fixture.root, sha256(fixture.root));
  const installed = new Map<string, { version: string; manifest: string; securityVersion: number }>();
  for (const release of built) {
    const path = stickPath(release);
    put(files, path, readFileSync(release.path));
    if (installed.has(release.component)) continue;
    const { manifest, manifestBytes, manifestDigest, bundle } = await resolveFromFile(
      { files, layout },
      path,
      anything,
    );
    const order = {
      files,
      layout,
      tx: 0,
      slot: 'factory',
      devices: noDevices,
      bundle,
      manifest,
      manifestBytes,
    } as const;
    writeSlot(order);
    sealSlot(order);
    bundle.source.close();
    const { version, securityVersion } = manifest;
    installed.set(release.component, { version, manifest: manifestDigest, securityVersion });
  }
  files.removeTree(join(layout.work, '0'));
  put(files, layout.stateDb, JSON.stringify({ schema: 1, data: originalData }));
  put(files, layout.identity, JSON.stringify(identityOf('0'.repeat(64))));
  put(files, layout.agentSettings, '{}');
  put(files, layout.outboxDb, outboxText);
  for (const records of [layout.stateRecords, layout.launchRecords]) createRecordFiles(files, records, layout.updater);
  const [app, updater] = [installed.get('app'), installed.get('updater')];
  if (app === undefined || updater === undefined) throw new RangeError('no factory');
  saveState(files, layout, firstState(app, updater));
}

/** The program that a new updater would be, as far as its probe goes: the production code on the scratch directory. */
async function probed(files: Files, { served }: Surroundings, words: readonly string[]): Promise<ProgramEnd> {
  const main = words.find((word) => word.endsWith('/main.js')) ?? '';
  const [brought] = words.slice(words.indexOf('probe') + 1, words.indexOf('--root'));
  const result = await probe({
    files,
    layout: layoutOf(words.at(-1) ?? ''),
    http: served === null ? nobody : modelServer(served, () => null),
    version: readSeal(files, dirname(main))?.version ?? '',
    file: brought ?? null,
  });
  return { code: result.failed === null ? 0 : 1, stdout: JSON.stringify(result), stderr: '', complaint: '' };
}

export function stickPath({ component, version }: Pick<BuiltRelease, 'component' | 'version'>): string {
  return `/stick/${component}-${version}.hfb`;
}

/** What stays the same through all power cuts of one kind. */
export interface Surroundings {
  readonly layout: Layout;
  readonly socket: HealthSocket;
  /** PEM of the updater's key. */
  readonly key: string;
  readonly rollbackWindowMs: number;
  /** Of a trial; 200 ms and 4 s where it does not matter. */
  readonly trial?: { readonly healthyMs: number; readonly deadlineMs: number };
  /** Versions that end: agents, after so many answers to health; updaters, in each run but their probe. */
  readonly broken: readonly string[];
  /** launch chooses the updater of each run, too. */
  readonly selfUpdates: boolean;
  readonly diesAfter: number;
  /** Manifests that were released. */
  readonly released: readonly string[];
  /** null: there is no network. */
  readonly served: Served | null;
}

/** One power-on of the appliance on a disk: what systemd would do, with the production launch and loop. */
export class ModelAppliance {
  readonly files: Files;
  readonly agent: ModelAgent;
  readonly lines: string[] = [];
  /** Called with each line of the log: for what somebody does meanwhile. */
  onLine: (line: string) => void = () => undefined;
  readonly clock = new TestClock();
  readonly #layout: Layout;
  readonly #appliance: Appliance;
  readonly #around: Surroundings;

  constructor(files: Files, boot: number, around: Surroundings) {
    const { layout, socket, key, rollbackWindowMs, broken, diesAfter, served } = around;
    this.files = files;
    this.#layout = layout;
    this.#around = around;
    const { clock } = this;
    clock.boot = `00000000-0000-4000-8000-${String(boot).padStart(12, '0')}`;
    for (const path of [layout.run, layout.launched, layout.agentRun, layout.requests])
      files.makeDirectory(path, 0o755);
    if (files.stat(layout.hint) === null) put(files, layout.hint, '');
    this.agent = new ModelAgent(files, layout, clock, {
      broken,
      diesAfter,
      server: served === null ? 'unknown' : 'ok',
    });
    socket.agent = this.agent;
    const privateKey = privateKeyFromPem(key);
    const identity = identityOf(publicKeyOf(served === null ? privateKey : privateKeyFromPem(served.answerKey)));
    this.#appliance = {
      files,
      layout,
      clock,
      identity,
      http: served === null ? nobody : modelServer(served, () => this.agent),
      key: privateKey,
      processes: this.agent,
      settings: settingsShape.parse({
        processControl: { kind: 'systemd' },
        trial: { ...(around.trial ?? { healthyMs: 200, deadlineMs: 4_000 }), belowFloor: true },
        sampleMs: 50,
        rollbackWindowMs,
      }),
      counter: openCounter(files, layout),
      events: openEvents(files, layout, clock, identity.appliance),
      version: '1.0.0',
      manifest: null,
      // The same for all: disks that differ in nothing else count once.
      newTransactionId: () => 'one',
      run: (_node, words) => probed(files, around, words),
      builtAtS: 0,
      log: (line) => {
        this.lines.push(line);
        this.onLine(line);
      },
    };
  }

  ask(request: object): void {
    put(this.files, join(this.#layout.requests, `${id}.json`), JSON.stringify({ v: 1, id, ...request }));
  }

  /** Whom launch starts for this run; null: it starts nobody, or that one ends at once. */
  #launched(): Appliance | null {
    const { files, clock } = this;
    const effects = { files, bootId: () => clock.bootId(), monoMs: () => clock.monoMs() };
    const layout = this.#layout;
    const start = launchCount(effects, layout, 'updater');
    if (start.outcome === 'nothing') return null;
    const { slot, version } = start;
    if (this.#around.broken.includes(version)) {
      countUpdaterEnd(files, layout, { invocation: 'one', code: 'exited', status: '1' });
      return null;
    }
    return { ...this.#appliance, version, manifest: readSeal(files, layout.slot('updater', slot))?.manifest ?? null };
  }

  /** The number of the newest transaction. */
  get lastTx(): number {
    return loadState(this.files, this.#layout).lastTx;
  }

  /** Boot, and runs of the updater until two in a row leave the same state. @throws what a run throws (I10), or an end that never comes (I8) */
  async comeToRest(): Promise<StateBody> {
    await this.agent.startAgent();
    let before = '';
    let same = 0;
    for (let runs = 0; runs < runsMax + runsOfLoop; runs += 1) {
      const appliance = this.#around.selfUpdates ? this.#launched() : this.#appliance;
      if (appliance === null) continue;
      const state = await runUpdater(appliance, await openState(appliance), false);
      const now = JSON.stringify(state);
      same = now === before ? same + 1 : 1;
      const { state: agent } = await this.agent.agent();
      const restsAfter = agent === 'active' ? 2 : runsOfLoop;
      if (same >= restsAfter && (state.row === 'idle' || state.row === 'safe')) return state;
      before = now;
    }
    throw new Error(`not at rest after ${runsMax + runsOfLoop} runs: ${before.slice(0, 300)}`);
  }
}
