import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentCredentials } from '../../protocol/claim.ts';
import type { Start } from '../../protocol/health.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { generateKeyPair, privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { type FrozenState, layOut, schemaOf } from './frozen-states.ts';
import { Observation, type Started, startAgent } from './observation.ts';
import { TrialServer } from './trial-server.ts';

/** How long a start may take, and how long it is watched. */
export interface TrialBounds {
  /** Until it answers health as it should: an appliance gives it less; a build machine may be busy. */
  readonly upMs: number;
  /** After that it must still be there, and have worked. Longer than the standard interval of its work, which is 1 s. */
  readonly watchMs: number;
  /** From SIGTERM to its end; the supervisor on the appliance waits as long. */
  readonly stopMs: number;
}
const trialBounds: TrialBounds = { upMs: 20_000, watchMs: 1_500, stopMs: 5_000 };

export interface TrialInput extends Started {
  /** Schemas that the release says it reads. */
  readonly reads: { readonly min: number; readonly max: number };
  readonly states: readonly FrozenState[];
  readonly bounds?: TrialBounds;
}

export type TrialOutcome =
  | { readonly state: string; readonly outcome: 'came-up'; readonly ms: number }
  | { readonly state: string; readonly outcome: 'skipped'; readonly why: string };

/**
 * Starts what was built against every state that appliances may have, at the same time (S2): it must come up, say its
 * version, work, and stop.
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
 * Starts what was built once more, where it finds the newest of these states and a server that has one order of each
 * harmless kind for it, and one of a kind that nobody knows: it must take them, end each in some way, and live on. The
 * release that stranded a fleet came up well and died of an order.
 * @throws ImageError `trial-start-failed`, `version-mismatch`
 */
export async function tryOrders(input: TrialInput): Promise<TrialOutcome> {
  const outcomes: TrialOutcome[] = [];
  for (const state of input.states.toReversed()) {
    const server = await TrialServer.start();
    try {
      const outcome = await tryState(input, state, server);
      if (outcome.outcome === 'came-up') return { ...outcome, state: `${state.name}, with orders` };
      outcomes.push(outcome);
    } finally {
      await server.stop();
    }
  }
  return {
    state: 'with orders',
    outcome: 'skipped',
    why: `no frozen state can be read (${outcomes.length} were tried)`,
  };
}

async function tryState(input: TrialInput, state: FrozenState, server: TrialServer | null): Promise<TrialOutcome> {
  // A short path: a socket's has at most 107 bytes.
  const root = await mkdtemp(join(tmpdir(), 'hft-'));
  try {
    const layout = layoutOf(root);
    for (const path of [layout.agentKeys, layout.agentRun, layout.launchedComponent('app')]) {
      await mkdir(path, { recursive: true });
    }
    await layOut(state, layout.agent);
    const schema = await schemaOf(state, join(root, 'looked-at'));
    const { min, max } = input.reads;
    if (schema !== null && (schema < min || schema > max)) {
      const why = `it has schema ${schema}, the release declares that it reads ${min} to ${max}`;
      return { state: state.name, outcome: 'skipped', why };
    }
    const start = await setUp(layout, input.version, server);
    return await watch(input, layout, state.name, start, server);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** What launch and setup leave; without a server, one that does not answer. */
async function setUp(layout: Layout, version: string, server: TrialServer | null): Promise<Start> {
  const keys = generateKeyPair();
  const appliance = applianceIdOf(randomBytes(32));
  server?.expect(appliance, keys.publicKey);
  const start: Start = {
    nonce: randomBytes(32).toString('hex'),
    slot: '0',
    manifest: '0'.repeat(64),
    version,
    stateDir: layout.agent,
  };
  const credentials: AgentCredentials = {
    appliance,
    // Port 9 is for discarding (RFC 863); nobody listens there.
    url: server?.url ?? 'http://127.0.0.1:9',
    answerKeys: [server?.answerKey ?? generateKeyPair().publicKey],
    privateKey: privateKeyToPem(keys.privateKey),
  };
  await writeFile(join(layout.launchedComponent('app'), 'start.json'), JSON.stringify(start));
  await writeFile(layout.agentCredentials, JSON.stringify(credentials), { mode: 0o600 });
  await writeFile(layout.hint, '');
  return start;
}

async function watch(
  input: TrialInput,
  layout: Layout,
  state: string,
  start: Start,
  server: TrialServer | null,
): Promise<TrialOutcome> {
  const bounds = input.bounds ?? trialBounds;
  const child = startAgent(input, layout.root);
  const observed = new Observation(input, state, start, layout.agentSocket, child);
  observed.follow();
  try {
    const beganMs = performance.now();
    const first = await observed.until(
      bounds.upMs,
      () => 'answer health',
      (answer) => answer.state.migrated,
    );
    const ms = Math.round(performance.now() - beganMs);
    await observed.until(
      bounds.watchMs + bounds.upMs,
      () => 'go on working',
      ({ progress }) => {
        return progress > first.progress && performance.now() - beganMs - ms >= bounds.watchMs;
      },
    );
    if (server !== null) {
      server.giveOrders();
      await observed.until(
        bounds.upMs,
        () => `end its orders (${server.left().join(', ')})`,
        () => server.left().length === 0,
      );
    }
    await observed.stop(bounds.stopMs);
    return { state, outcome: 'came-up', ms };
  } finally {
    child.kill('SIGKILL');
    await child;
  }
}
