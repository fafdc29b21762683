import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentCredentials } from '../../protocol/claim.ts';
import type { Start } from '../../protocol/health.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import { generateKeyPair, privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { trialTexts } from '../texts.ts';
import { type FrozenState, layOut, schemaOf } from './frozen-states.ts';
import { cannotRun, madeWorkIn, workMsMax, workTriedMax } from './made-work.ts';
import { Observation, type Started, startAgent } from './observation.ts';
import { makeTrialRoot, type TrialGround, type TrialRoot } from './trial-root.ts';
import { type RanWork, TrialServer } from './trial-server.ts';

/** How long a start may take, and how long it is watched. */
export interface TrialBounds {
  /**
   * For each event that is waited for. A hung agent costs this time once; a slow one on a busy machine is tolerated.
   */
  readonly upMs: number;
  /** For the end of all orders of its server. */
  readonly ordersMs: number;
  /** This long after its first answer it must still run, and have worked. Longer than the interval of its work: 1 s. */
  readonly watchMs: number;
  /**
   * So many turns of its work must be done in that time as well: on a busy machine, seconds may pass in which it does
   * not run, and a fault that shows after a second shows with its second turn.
   */
  readonly turns: number;
  /**
   * From SIGTERM to its end; then it counts as deaf. Before that it ends itself, with an error, if its own limit
   * passes.
   */
  readonly stopMs: number;
}
const trialBounds: TrialBounds = { upMs: 120_000, ordersMs: 120_000, watchMs: 1_500, turns: 2, stopMs: 30_000 };

export interface TrialInput extends Started {
  /** Schemas that the release says it reads. */
  readonly reads: { readonly min: number; readonly max: number };
  readonly states: readonly FrozenState[];
  /** The result of {@link findGround}. */
  readonly ground: TrialGround;
  readonly bounds?: TrialBounds;
}

export type TrialOutcome =
  | {
      readonly state: string;
      readonly outcome: 'came-up';
      readonly ms: number;
      /** Of the release's maker, as far as it was run; absent: none was. */
      readonly work?: readonly RanWork[];
    }
  | { readonly state: string; readonly outcome: 'skipped'; readonly why: string };

/**
 * Starts the built release against every state that appliances may have, all at the same time (S2): it must come up,
 * report its version, work, and stop.
 * @throws ImageError `trial-start-failed`, `version-mismatch`, each naming the first state that it failed with
 */
export async function tryStarts(input: TrialInput): Promise<TrialOutcome[]> {
  const ended = await Promise.allSettled(input.states.map((state) => tryState(input, state, null)));
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

/**
 * Starts the built release once more, with the newest of these states and a server that has one order of each harmless
 * kind for it, and one of an unknown kind: it must take them, end each in some way, and continue to run. The release
 * that stranded a fleet came up well and died of an order. Each duty and check of a maker is run once.
 * @throws ImageError `trial-start-failed`, `version-mismatch`
 */
export async function tryOrders(input: TrialInput): Promise<TrialOutcome> {
  const outcomes: TrialOutcome[] = [];
  const work = (await madeWorkIn(input.payloadDir)).slice(0, workTriedMax);
  for (const state of input.states.toReversed()) {
    const server = await TrialServer.start(work);
    try {
      const outcome = await tryState(input, state, server);
      if (outcome.outcome === 'came-up') return { ...outcome, state: trialTexts.stateWithOrders(state.name) };
      outcomes.push(outcome);
    } finally {
      await server.stop();
    }
  }
  return {
    state: trialTexts.withOrders,
    outcome: 'skipped',
    why: trialTexts.noStateReadable(outcomes.length),
  };
}

async function tryState(input: TrialInput, state: FrozenState, server: TrialServer | null): Promise<TrialOutcome> {
  await using root = await makeTrialRoot(input.ground, input);
  const { outside } = root;
  for (const path of [outside.agentKeys, outside.agentRun]) await mkdir(path, { recursive: true });
  await layOut(state, outside.agent);
  const schema = await schemaOf(state, join(outside.root, 'looked-at'));
  const { min, max } = input.reads;
  if (schema !== null && (schema < min || schema > max)) {
    return { state: state.name, outcome: 'skipped', why: trialTexts.otherSchema(schema, min, max) };
  }
  const start = await setUp(root, input.version, server);
  return await watch(input, root, state.name, start, server);
}

/** Makes what launch and setup leave; without a server, the address of one that does not answer. */
async function setUp({ outside, inside }: TrialRoot, version: string, server: TrialServer | null): Promise<Start> {
  const keys = generateKeyPair();
  const appliance = applianceIdOf(randomBytes(32));
  server?.expect(appliance, keys.publicKey);
  const start: Start = {
    nonce: randomBytes(32).toString('hex'),
    slot: '0',
    manifest: '0'.repeat(64),
    version,
    stateDir: inside.agent,
  };
  const credentials: AgentCredentials = {
    appliance,
    // Port 9 is for discarding (RFC 863); nobody listens there.
    url: server?.url ?? 'http://127.0.0.1:9',
    answerKeys: [server?.answerKey ?? generateKeyPair().publicKey],
    privateKey: privateKeyToPem(keys.privateKey),
  };
  await writeFile(join(outside.launchedComponent('app'), 'start.json'), JSON.stringify(start));
  await writeFile(outside.agentCredentials, JSON.stringify(credentials), { mode: 0o600 });
  await writeFile(outside.hint, '');
  return start;
}

async function watch(
  input: TrialInput,
  root: TrialRoot,
  state: string,
  start: Start,
  server: TrialServer | null,
): Promise<TrialOutcome> {
  const bounds = input.bounds ?? trialBounds;
  const child = startAgent(root);
  const observed = new Observation(input, state, start, root.outside.agentSocket, child);
  observed.follow();
  try {
    const beganMs = performance.now();
    const first = await observed.until(
      bounds.upMs,
      () => trialTexts.answerHealth,
      (answer) => answer.state.migrated,
    );
    const ms = Math.round(performance.now() - beganMs);
    await observed.until(
      bounds.watchMs + bounds.upMs,
      () => trialTexts.continueWorking,
      ({ progress }) => {
        return progress >= first.progress + bounds.turns && performance.now() - beganMs - ms >= bounds.watchMs;
      },
    );
    if (server !== null) {
      server.giveOrders();
      await observed.until(
        bounds.ordersMs + server.ran().length * workMsMax,
        () => trialTexts.endOrders(server.left().join(', ')),
        () => server.left().length === 0,
      );
      const broken = server.ran().find(cannotRun);
      if (broken !== undefined) throw await observed.fail(trialTexts.workCannotRun(broken.name, broken.error));
    }
    await observed.stop(bounds.stopMs);
    const work = server?.ran() ?? [];
    return { state, outcome: 'came-up', ms, ...(work.length === 0 ? {} : { work }) };
  } finally {
    child.kill('SIGKILL');
    await child;
  }
}
