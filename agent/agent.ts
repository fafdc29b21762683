import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import type { HealthAnswer, Start } from '../protocol/health.ts';
import type { Layout } from '../protocol/layout.ts';
import { Bell } from './bell.ts';
import { CheckInCounter } from './check-in-counter.ts';
import { CheckInLoop } from './check-in-loop.ts';
import { Duty } from './duty.ts';
import type { Effects, Log } from './effects/effects.ts';
import { AgentError } from './errors.ts';
import { HealthSocket } from './health.ts';
import { Inhibitor } from './inhibitor.ts';
import { Ledger } from './ledger.ts';
import { makeRoom } from './make-room.ts';
import { orderHandler } from './order-kinds.ts';
import { OrderQueue } from './orders.ts';
import { type Outbox, openOutbox, type StateOpener } from './outbox.ts';
import { setAside } from './set-aside.ts';
import { type ApplianceConfig, readSettings } from './settings.ts';
import { openState, type State } from './state.ts';

/** An order in the middle of its work is waited for this long at a stop, within the 5 s that a stop may take. */
const stopWaitMs = 3_000;

interface Parts {
  readonly effects: Effects;
  readonly layout: Layout;
  readonly start: Start;
  readonly version: string;
}

/**
 * Runs the agent until the signal aborts, then closes its databases. Health answers first, the network comes after it.
 * @throws AgentError when it can not start; anything else that is thrown is a bug, and the supervisor restarts
 */
export async function runAgent(parts: Parts, signal: AbortSignal): Promise<void> {
  const { effects, layout, start } = parts;
  const config = await readSettings(effects.files, join(start.stateDir, 'agent.json'));
  for (const problem of config.problems) effects.log.warn({ problem }, 'a setting is wrong; its standard holds');
  for (const directory of new Set([layout.agent, start.stateDir]))
    await makeRoom(effects.files, directory, effects.log);
  const at = () => ({ boot: effects.boot, monoMs: effects.clock.monoMs() });
  const outbox = openOutbox(layout.outboxDb, at, effects.log);
  try {
    const state = openStateOrBegin(join(start.stateDir, 'state.db'), outbox, parts);
    try {
      await runWithStores(parts, { outbox, state, config }, signal);
    } finally {
      state.close();
    }
  } finally {
    outbox.close();
  }
}

/**
 * A state that can not be read, and that this very version never opened, was left so by another one: it is kept aside, and
 * this one begins anew rather than never serve. What this version had itself it does not give up: a trial that spoils the
 * state ends, and its copy comes back.
 * @throws AgentError `state-too-new` | `state-unreadable`
 */
function openStateOrBegin(path: string, outbox: Outbox, { effects, version, start }: Parts): State {
  const opener = { version, trialTx: start.trialTx ?? null };
  try {
    const state = openState(path, start.stateSchemaMax);
    noteOpened(outbox, opener, effects.log);
    return state;
  } catch (error) {
    const isUnreadable = error instanceof AgentError && error.code === 'state-unreadable';
    if (!isUnreadable || hasOpened(outbox, opener)) throw error;
    const text = `state.db could not be read; it is kept as ${setAside(path)}, and a new one was begun`;
    effects.log.error({ code: error.code, error: String(error.cause) }, text);
    outbox.append({ kind: 'note', text });
    const state = openState(path);
    noteOpened(outbox, opener, effects.log);
    return state;
  }
}

/** In a new trial of it, what lies there is the copy that came back after the one before: that is not its doing. */
function hasOpened({ stateOpenedBy: last }: Outbox, { version, trialTx }: StateOpener): boolean {
  return last?.version === version && (trialTx === null || last.trialTx === trialTx);
}

function noteOpened(outbox: Outbox, opener: StateOpener, log: Log): void {
  try {
    const last = outbox.stateOpenedBy;
    if (last?.version !== opener.version || last.trialTx !== opener.trialTx) outbox.stateOpenedBy = opener;
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    log.error({ code: error.code }, 'who opened the state can not be noted: look at the disk');
  }
}

async function runWithStores(
  { effects, layout, start, version }: Parts,
  { outbox, state, config }: { readonly outbox: Outbox; readonly state: State; readonly config: ApplianceConfig },
  signal: AbortSignal,
): Promise<void> {
  const duty = new Duty(effects, { outbox, state, directory: start.stateDir }, config);
  const ledger = new Ledger(outbox);
  const checkInBell = new Bell();
  const checks = () => duty.checks();
  const handle = orderHandler({
    effects,
    config,
    state,
    version,
    slot: start.slot,
    hintPath: layout.hint,
    credentialsPath: layout.agentCredentials,
    checks,
    server: () => checkIns.server,
    checkInBell,
    signal,
  });
  const inhibitor = new Inhibitor(effects.clock);
  const orders = new OrderQueue(
    { log: effects.log, outbox, ledger, handle: inhibitor.whileIn(handle) },
    { added: new Bell(), finished: checkInBell },
  );
  const checkIns: CheckInLoop = new CheckInLoop({
    effects,
    outbox,
    counter: new CheckInCounter(outbox),
    orders,
    start,
    version,
    credentialsPath: layout.agentCredentials,
    answerKeysPath: layout.answerKeys,
    checks,
  });
  const health = new HealthSocket(
    layout.agentSocket,
    (): HealthAnswer => ({
      proto: 1,
      nonce: start.nonce,
      version,
      progress: duty.progress,
      state: { schema: state.schema, migrated: true },
      checks: duty.checks(),
      server: checkIns.server,
      inhibit: inhibitor.words,
    }),
  );

  failUnfinished(ledger, effects.log);
  // The first reading before the first health answer, so that no check is unknown without need.
  await duty.turn();
  await health.open();
  effects.log.info({ version, slot: start.slot, schema: state.schema, site: config.site_name }, 'the agent is up');
  try {
    await runLoops([duty.run(new Bell(), signal), orders.run(signal), checkIns.run(checkInBell, signal)], signal);
  } finally {
    health.close();
  }
  effects.log.info({ version }, 'the agent stops');
}

/** A disk that refuses must not keep the agent from its duty: what is not noted now is noted at the next start. */
function failUnfinished(ledger: Ledger, log: Log): void {
  try {
    const unfinished = ledger.failUnfinished();
    if (unfinished.length > 0) log.warn({ orders: unfinished }, 'orders that a crash left half way are failed');
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    log.error(
      { code: error.code },
      'orders that a crash left half way can not be noted as failed yet: look at the disk',
    );
  }
}

/** Until all ended after the stop, or the first one threw: a loop that is gone is never left standing beside the others. */
async function runLoops(loops: readonly Promise<void>[], signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => {
      timer = setTimeout(resolve, stopWaitMs);
    });
  });
  await Promise.race([Promise.all(loops), overdue]);
  clearTimeout(timer);
}
