import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import type { HealthAnswerInput, Start } from '../protocol/health.ts';
import type { Layout } from '../protocol/layout.ts';
import { Bell } from './bell.ts';
import { CheckInLoop } from './check-in-loop.ts';
import { ClockJudge } from './clock-judge.ts';
import type { Moment } from './duties/progress-of-duty.ts';
import { dutyLines } from './duty-lines.ts';
import type { Effects, Log } from './effects/effects.ts';
import { AgentError } from './errors.ts';
import { HealthSocket } from './health.ts';
import { Inhibitor } from './inhibitor.ts';
import { Ledger } from './ledger.ts';
import { makeRoom } from './make-room.ts';
import { misspeltIn } from './misspelt.ts';
import { NetworkPath } from './network-path.ts';
import { orderHandler } from './order-kinds.ts';
import { OrderQueue } from './orders.ts';
import { type Outbox, openOutbox, type StateOpener } from './outbox.ts';
import { scheduledWork } from './scheduled-work.ts';
import { setAside } from './set-aside.ts';
import { type ApplianceConfig, readSettings } from './settings.ts';
import { tellSettings } from './settings-notes.ts';
import { openState, type State } from './state.ts';
import { agentTexts, orderTexts } from './texts.ts';

/** An order in the middle of its work is waited for this long at a stop, within the 5 s that a stop may take. */
const stopWaitMs = 3_000;

interface Parts {
  readonly effects: Effects;
  readonly layout: Layout;
  readonly start: Start;
  readonly version: string;
  /** The directory of the program. */
  readonly program: string;
}

/**
 * Runs the agent until the signal aborts, then closes its databases. Health answers first; the network follows.
 * @throws AgentError when it cannot start; any other error is a bug, and the supervisor restarts
 */
export async function runAgent(parts: Parts, signal: AbortSignal): Promise<void> {
  const { effects, layout, start } = parts;
  const config = await readSettings(effects.files, join(start.stateDir, 'agent.json'));
  effects.setLogLevel(config.logLevel);
  for (const problem of config.problems) effects.log.warn({ problem }, agentTexts.settingWrong);
  for (const directory of new Set([layout.agent, start.stateDir]))
    await makeRoom(effects.files, directory, effects.log);
  const at = momentsOf(effects);
  const outbox = openOutbox(layout.outboxDb, at, effects.log);
  for (const problem of misspeltProblems(config)) effects.log.warn({ problem }, agentTexts.settingUnknown);
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
 * If state.db cannot be read and this version never opened it, another version left it so: it is kept aside, and this
 * one begins with a new state, because otherwise it could never serve. A state that this version itself had is not
 * given up: a trial that spoils it ends, and the copy comes back.
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
    const text = agentTexts.stateReplaced(setAside(path));
    effects.log.error({ code: error.code, error: String(error.cause) }, text);
    outbox.append({ kind: 'note', text });
    const state = openState(path);
    noteOpened(outbox, opener, effects.log);
    return state;
  }
}

/**
 * In another trial of this version, the file is the copy restored after the earlier trial, so this version did not
 * spoil it.
 */
function hasOpened({ stateOpenedBy: last }: Outbox, { version, trialTx }: StateOpener): boolean {
  return last?.version === version && (trialTx === null || last.trialTx === trialTx);
}

function noteOpened(outbox: Outbox, opener: StateOpener, log: Log): void {
  try {
    const last = outbox.stateOpenedBy;
    if (last?.version !== opener.version || last.trialTx !== opener.trialTx) outbox.stateOpenedBy = opener;
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    log.error({ code: error.code }, agentTexts.openerNotNoted);
  }
}

function misspeltProblems(config: ApplianceConfig): string[] {
  const misspelt = misspeltIn(config);
  return misspelt === '' ? [] : [misspelt];
}

function momentsOf({ boot, clock }: Effects): () => Moment {
  return () => ({ boot, monoMs: clock.monoMs() });
}

interface Opened {
  readonly outbox: Outbox;
  readonly state: State;
  readonly config: ApplianceConfig;
}

async function runWithStores(parts: Parts, opened: Opened, signal: AbortSignal): Promise<void> {
  const { effects, layout, start, version, program } = parts;
  const { outbox, state, config } = opened;
  const at = momentsOf(effects);
  const clockJudge = new ClockJudge(effects.clock);
  const stores = { outbox, state, directory: start.stateDir };
  const around = { clockJudge, program, signal };
  const work = await scheduledWork(effects, stores, config, around);
  const { duties, made, firstReading, checks } = work;
  const notes = tellSettings(outbox, [...work.settingsProblems, ...misspeltProblems(config)], effects.log);
  const ledger = new Ledger(outbox);
  const checkInBell = new Bell();
  const networkPath = new NetworkPath(effects.files, layout.networkPath, effects.log);
  await networkPath.read();
  const handle = orderHandler({
    ...{ effects, config, state, duties, made, version, networkPath, checks, checkInBell, signal },
    slot: start.slot,
    hintPath: layout.hint,
    credentialsPath: layout.agentCredentials,
    server: () => checkIns.server,
  });
  const inhibitor = new Inhibitor(effects.clock);
  const orders = new OrderQueue(
    { log: effects.log, outbox, ledger, handle: inhibitor.whileIn(handle) },
    { added: new Bell(), finished: checkInBell },
  );
  const checkIns: CheckInLoop = new CheckInLoop({
    effects,
    networkPath,
    outbox,
    orders,
    start,
    version,
    credentialsPath: layout.agentCredentials,
    answerKeysPath: layout.answerKeys,
    clockJudge,
    checks,
  });
  const health = new HealthSocket(
    layout.agentSocket,
    (): HealthAnswerInput => ({
      proto: 1,
      nonce: start.nonce,
      version,
      progress: duties.turns,
      state: { schema: state.schema, migrated: true },
      checks: checks(),
      server: checkIns.server,
      inhibit: inhibitor.words,
      networkPath: networkPath.digest,
      duties: dutyLines(duties, at()),
      notes,
    }),
  );

  failUnfinished(ledger, effects.log);
  // The first reading before the first health answer, so that no check is unknown without need.
  await firstReading();
  await health.open();
  effects.log.info({ version, slot: start.slot, schema: state.schema, site: config.site_name }, agentTexts.up);
  try {
    await runLoops([duties.run(new Bell(), signal), orders.run(signal), checkIns.run(checkInBell, signal)], signal);
  } finally {
    health.close();
  }
  effects.log.info({ version }, agentTexts.stops);
}

/** A disk that refuses must not keep the agent from its duty: what is not noted now is noted at the next start. */
function failUnfinished(ledger: Ledger, log: Log): void {
  try {
    const unfinished = ledger.failUnfinished();
    if (unfinished.length > 0) log.warn({ orders: unfinished }, orderTexts.halfWayFailed);
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    log.error({ code: error.code }, orderTexts.halfWayNotNoted);
  }
}

/**
 * Ends when all loops have ended after the stop, or when one throws: when one loop fails, the others do not run on
 * without it.
 */
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
