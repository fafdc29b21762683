import { z } from 'zod';
import type { CheckStatus } from '../protocol/health.ts';
import type { Order } from '../protocol/order.ts';
import { wordOf } from '../protocol/wire-enum.ts';
import type { Bell } from './bell.ts';
import { urlBelow } from './check-in.ts';
import { CredentialsError, readCredentials } from './credentials.ts';
import type { Effects } from './effects/effects.ts';
import { HttpError } from './effects/http.ts';
import { systemCode } from './errors.ts';
import type { OrderEnd } from './ledger.ts';
import type { OrderHandler } from './orders.ts';
import type { ApplianceConfig } from './settings.ts';
import type { State } from './state.ts';

/** Characters of JSON that the result of `collect-logs` may have, so that it travels whole. */
const logCharsMax = 3_600;

export interface OrderContext {
  readonly effects: Effects;
  readonly config: ApplianceConfig;
  readonly state: State;
  readonly version: string;
  readonly slot: string;
  readonly hintPath: string;
  readonly credentialsPath: string;
  readonly checks: () => Record<string, CheckStatus>;
  readonly server: () => CheckStatus;
  readonly checkInBell: Bell;
  readonly signal: AbortSignal;
}

type Handlers = Readonly<Record<string, (order: Order, context: OrderContext) => OrderEnd | Promise<OrderEnd>>>;

/** By kind; what is not here is answered as unsupported, so that the operator sees it (S62). */
const handlers: Handlers = {
  'check-in': (_order, { checkInBell }) => {
    checkInBell.ring();
    return succeeded({ checkingIn: 'at once' });
  },
  'run-checks': (_order, { checks, server }) => succeeded({ checks: checks(), server: server() }),
  identify: (_order, context) => identify(context),
  'network-test': (_order, context) => testNetwork(context),
  diagnostic: (order, context) => diagnose(order, context),
  'collect-logs': (_order, { effects }) => succeeded({ lines: lastLines(effects.recentLog()) }),
  update_iso: (_order, context) => hintUpdater(context),
};

export function orderHandler(context: OrderContext): OrderHandler {
  return async (order) => {
    const kind = wordOf(order.kind);
    const handler = Object.hasOwn(handlers, kind) ? handlers[kind] : undefined;
    if (handler === undefined) {
      return { state: 'unsupported', error: `version ${context.version} of the agent does not know the kind ${kind}` };
    }
    return await handler(order, context);
  };
}

function succeeded(result: object): OrderEnd {
  return { state: 'succeeded', result: JSON.stringify(result) };
}

async function identify({ effects, config, version, slot, credentialsPath }: OrderContext): Promise<OrderEnd> {
  const { appliance } = await readCredentials(effects.files, credentialsPath);
  effects.log.info({ appliance, site: config.site_name }, 'identify: this is the appliance that was asked for');
  return succeeded({ appliance, site: config.site_name, version, slot, boot: effects.boot });
}

async function testNetwork({ effects, credentialsPath, signal }: OrderContext): Promise<OrderEnd> {
  const startMs = effects.clock.monoMs();
  try {
    const { url } = await readCredentials(effects.files, credentialsPath);
    const { status } = await effects.http.send({ method: 'GET', url: urlBelow(url, '/health'), signal });
    return succeeded({
      server: status < 500 ? 'ok' : 'fail',
      status,
      ms: Math.round(effects.clock.monoMs() - startMs),
    });
  } catch (error) {
    if (!(error instanceof HttpError || error instanceof CredentialsError)) throw error;
    return { state: 'failed', error: `the server was not reached: ${error.message} (${error.code})` };
  }
}

const queryShape = z.object({
  query: z.literal('readings'),
  upTo: z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
});

function diagnose(order: Order, { state }: OrderContext): OrderEnd {
  const query = queryShape.safeParse(order.args);
  if (query.success) return succeeded(state.digestUpTo(query.data.upTo));
  return { state: 'failed', error: 'a diagnostic needs query=readings and upTo=NUMBER; nothing else can be asked yet' };
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
    return succeeded({ hint: 'the updater was asked to look for a release now; what it does, it reports itself' });
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    return { state: 'failed', error: `the updater could not be asked: ${hintPath} can not be touched (${code})` };
  }
}
