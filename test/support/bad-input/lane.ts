import { wordOf } from '../../../protocol/wire-enum.ts';
import type { ReadingsSeen } from '../../story/observations.ts';
import { historyOf, readings, whyOf } from '../../story/outside.ts';
import { askUpdater, halfWritten, lostEvents, stateOf, statusOf, wakeUpdater } from '../killing/look.ts';
import type { ApplianceBox } from '../world/appliance-box.ts';
import { patienceMs, until } from '../world/wait.ts';
import type { World } from '../world/world.ts';
import type { Case, Release } from './cases.ts';
import type { MisbehavingProxy } from './misbehaving-proxy.ts';

/** Check-ins that are answered with a lie before a look at what the appliance makes of it. */
const liesTold = 3;

export interface Seen {
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

export interface Arrived {
  readonly serves: string;
  readonly outcome: string;
  readonly before: ReadingsSeen;
  readonly after: ReadingsSeen;
  readonly halfWritten: readonly string[];
  readonly lost: readonly number[];
}

/** An appliance with somebody between it and its server. */
export interface Lane {
  readonly name: string;
  readonly box: ApplianceBox;
  readonly proxy: MisbehavingProxy;
}

/** The line of the transaction that was refused, once the updater rests again. */
function refusal(box: ApplianceBox, lastTx: number) {
  return until('a refusal', patienceMs, () => {
    const status = statusOf(box);
    const line = status.transactions.find(({ tx, outcome }) => tx > lastTx && wordOf(outcome) === 'refused');
    return line !== undefined && status.row === 'idle' ? { code: line.reason, sentence: line.text } : null;
  });
}

/** What stopped the transaction that stays in its row, in the words of `why`. */
function trouble(box: ApplianceBox, codes: readonly string[]) {
  return until(`trouble: ${codes.join(', ')}`, patienceMs, () => {
    const { why } = statusOf(box);
    const code = codes.find((one) => why.includes(`(${one})`));
    return code === undefined ? null : { code, sentence: why };
  });
}

/** After several check-ins that were lied to, what the appliance says about the last one. */
async function disbelief({ box, proxy }: Lane) {
  const before = proxy.requests.length;
  return until('check-ins that are not believed', patienceMs, () => {
    wakeUpdater(box);
    const error = statusOf(box).checkIn.error;
    return error !== null && proxy.requests.length >= before + liesTold
      ? { code: error.code, sentence: `${error.message}; ${error.next}` }
      : null;
  });
}

/** Misbehaves, and looks at what the appliance makes of it. */
export async function look(lane: Lane, one: Case, release: Release): Promise<Seen> {
  const { box, proxy } = lane;
  const pidBefore = box.agentPid();
  const { lastTx } = stateOf(box);
  if (one.outcome === 'not believed') proxy.lie = one.lie(release);
  else {
    proxy.misbehaviour = one.act(release);
    // Whoever stands before it does not wait for the back-off after the refusal before.
    askUpdater(box, { kind: 'retry' });
  }
  const found =
    one.outcome === 'refused'
      ? await refusal(box, lastTx)
      : one.outcome === 'carried on'
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
  if (one.outcome === 'not believed') {
    await until('an answer that is believed', patienceMs, () => {
      wakeUpdater(box);
      return statusOf(box).checkIn.error === null ? true : null;
    });
  }
  return seen;
}

/** @returns what is to be seen once the appliance rests on the version, whatever it met on the way */
export async function arrived(world: World, lane: Lane, version: string, before: ReadingsSeen): Promise<Arrived> {
  const { name, box } = lane;
  await until(`${version} arrives at ${name}`, patienceMs, () => {
    const { row, app } = stateOf(box);
    return row === 'idle' && app.committed.version === version && statusOf(box).agent.version === version ? true : null;
  });
  const line = (await historyOf(box)).at(-1);
  return {
    serves: stateOf(box).app.committed.version,
    outcome: line === undefined ? 'nothing' : wordOf(line.outcome),
    before,
    after: await readings(world, name, before.upTo),
    halfWritten: halfWritten(box),
    lost: [...(await lostEvents(world, name, 'agent')), ...(await lostEvents(world, name, 'updater'))],
  };
}
