import { addressBelow } from '../protocol/address.ts';
import type { CheckStatus } from '../protocol/health.ts';
import type { Order } from '../protocol/order.ts';
import {
  diagnosticArgumentsShape,
  diagnosticArgumentsText,
  dutyArgumentsShape,
  dutyArgumentsText,
  logLevelArgumentsShape,
  logLevelArgumentsText,
  madeOrderArgumentsShape,
  madeOrderArgumentsText,
} from '../protocol/order-arguments.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import type { Bell } from './bell.ts';
import { CredentialsError, readCredentials } from './credentials.ts';
import type { Scheduler } from './duties/scheduler.ts';
import type { Effects } from './effects/effects.ts';
import { HttpError } from './effects/http.ts';
import { systemCode } from './errors.ts';
import type { OrderEnd } from './ledger.ts';
import type { MadeWork } from './maker/made-work.ts';
import type { NetworkPath } from './network-path.ts';
import type { OrderHandler } from './orders.ts';
import type { ApplianceConfig } from './settings.ts';
import type { State } from './state.ts';
import { orderTexts } from './texts.ts';

/** Characters of JSON in the result of `collect-logs`, so that it is never cut. */
const logCharsMax = 3_600;

const networkTestMs = 30_000;
/** An order waits this long for a duty: other orders wait behind it. */
const dutyMs = 60_000;

export interface OrderContext {
  readonly effects: Effects;
  readonly config: ApplianceConfig;
  readonly state: State;
  readonly duties: Scheduler;
  readonly made: MadeWork;
  readonly version: string;
  readonly slot: string;
  readonly hintPath: string;
  readonly credentialsPath: string;
  readonly networkPath: NetworkPath;
  readonly checks: () => Record<string, CheckStatus>;
  readonly server: () => CheckStatus;
  readonly checkInBell: Bell;
  readonly signal: AbortSignal;
}

type Handlers = Readonly<Record<string, (order: Order, context: OrderContext) => OrderEnd | Promise<OrderEnd>>>;

/** By kind; an unknown kind is answered as unsupported, so that the operator sees it (S62). */
const handlers: Handlers = {
  'check-in': (_order, { checkInBell }) => {
    checkInBell.ring();
    return succeeded({ checkingIn: orderTexts.atOnce });
  },
  'run-checks': (_order, { checks, server, made }) =>
    succeeded({ checks: checks(), server: server(), sentences: made.findings.sentences() }),
  identify: (_order, context) => identify(context),
  'network-test': (_order, context) => testNetwork(context),
  diagnostic: (order, context) => diagnose(order, context),
  'run-duty': (order, context) => runDuty(order, context),
  'run-order': (order, context) => runOrder(order, context),
  'log-level': (order, context) => setLogLevel(order, context),
  'collect-logs': (_order, { effects }) => succeeded({ lines: lastLines(effects.recentLog()) }),
  update_iso: (_order, context) => hintUpdater(context),
};

export function orderHandler(context: OrderContext): OrderHandler {
  return async (order) => {
    const kind = wordOf(order.kind);
    const handler = Object.hasOwn(handlers, kind) ? handlers[kind] : undefined;
    if (handler === undefined) {
      return { state: 'unsupported', error: orderTexts.kindUnknown(context.version, kind) };
    }
    return await handler(order, context);
  };
}

function succeeded(result: object): OrderEnd {
  return { state: 'succeeded', result: JSON.stringify(result) };
}

async function identify({ effects, config, version, slot, credentialsPath }: OrderContext): Promise<OrderEnd> {
  const { appliance } = await readCredentials(effects.files, credentialsPath);
  effects.log.info({ appliance, site: config.site_name }, orderTexts.identify);
  return succeeded({ appliance, site: config.site_name, version, slot, boot: effects.boot });
}

async function testNetwork({ effects, credentialsPath, networkPath, signal }: OrderContext): Promise<OrderEnd> {
  const startMs = effects.clock.monoMs();
  try {
    const { url } = await readCredentials(effects.files, credentialsPath);
    await networkPath.read();
    const over = { entry: networkPath.first, totalMs: networkTestMs };
    const { status } = await effects.http.send({ method: 'GET', url: addressBelow(url, '/health'), over, signal });
    return succeeded({
      server: status < 500 ? 'ok' : 'fail',
      status,
      ms: Math.round(effects.clock.monoMs() - startMs),
    });
  } catch (error) {
    if (!(error instanceof HttpError || error instanceof CredentialsError)) throw error;
    return { state: 'failed', error: orderTexts.serverNotReached(error.message, error.code) };
  }
}

function diagnose(order: Order, { state }: OrderContext): OrderEnd {
  const query = diagnosticArgumentsShape.safeParse(order.args);
  if (query.success) return succeeded(state.digestUpTo(query.data.upTo));
  return { state: 'failed', error: orderTexts.diagnosticOnly(diagnosticArgumentsText) };
}

/** @returns null: it has not ended */
async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  const found = await Promise.race([promise, late]);
  clearTimeout(timer);
  return found;
}

/** A run of its own, also where the breaker is open; its failure is the order's. */
async function runDuty(order: Order, { duties }: OrderContext): Promise<OrderEnd> {
  const asked = dutyArgumentsShape.safeParse(order.args);
  if (!asked.success) return { state: 'failed', error: dutyArgumentsText };
  const run = duties.runNow(asked.data.duty);
  if (run === null) {
    return { state: 'failed', error: orderTexts.dutyUnknown(asked.data.duty, duties.names.join(', ')) };
  }
  const found = await within(run, dutyMs);
  if (found === null) return { state: 'failed', error: orderTexts.dutyRunsOn(asked.data.duty, dutyMs / 1_000) };
  if (found.outcome === 'failed') return { state: 'failed', error: `${found.code}: ${found.error}` };
  return succeeded({ duty: asked.data.duty, result: found.result ?? null });
}

/** Until the next start, or the next such order. */
function setLogLevel({ args }: Order, { effects }: OrderContext): OrderEnd {
  const asked = logLevelArgumentsShape.safeParse(args);
  if (!asked.success) return { state: 'failed', error: logLevelArgumentsText };
  effects.setLogLevel(asked.data.level);
  return succeeded(asked.data);
}

/** An order that the release's maker defined, within its own time. */
async function runOrder({ args }: Order, { made }: OrderContext): Promise<OrderEnd> {
  const asked = madeOrderArgumentsShape.safeParse(args);
  if (!asked.success) return { state: 'failed', error: madeOrderArgumentsText };
  const { order, ...rest } = asked.data;
  const run = made.orders.get(order);
  if (run === undefined) {
    return { state: 'failed', error: orderTexts.orderUnknown(order, [...made.orders.keys()].join(', ')) };
  }
  const end = await run(rest);
  if (end.outcome === 'failed') return { state: 'failed', error: `${end.code}: ${end.error}` };
  return succeeded({ order, result: end.result ?? null });
}

/** The newest lines that fit as JSON, oldest first. */
function lastLines(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let chars = 0;
  for (const line of lines.toReversed()) {
    chars += JSON.stringify(JSON.stringify(line)).length + 1;
    if (chars > logCharsMax) break;
    kept.unshift(line);
  }
  return kept;
}

/** An update is the updater's work; the agent can only ask it to look now, and says no more than that (S56). */
async function hintUpdater({ effects, hintPath }: OrderContext): Promise<OrderEnd> {
  try {
    await effects.files.touch(hintPath);
    return succeeded({ hint: orderTexts.updaterAsked });
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    return { state: 'failed', error: orderTexts.updaterNotAsked(hintPath, code) };
  }
}
