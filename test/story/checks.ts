import { createHash } from 'node:crypto';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Observations, ReadingsSeen, RecordSeen } from './observations.ts';

export const errorText = "'ApplianceConfig' object has no attribute 'mcp_api_key_file'";

/** One promise of the story. */
export interface Check {
  readonly name: string;
  readonly scene: keyof Observations;
  /** null: it holds; else what is wrong. */
  readonly verify: (seen: Observations) => string | null;
}

type Seen<Scene extends keyof Observations> = NonNullable<Observations[Scene]>;

function check<Scene extends keyof Observations>(
  name: string,
  scene: Scene,
  verify: (seen: Seen<Scene>) => string | false,
): Check {
  return {
    name,
    scene,
    verify: (all) => {
      const seen = all[scene];
      // What was not observed is never good.
      return seen === undefined ? `nothing was observed of ${scene}` : verify(seen) || null;
    },
  };
}

function numberOf(name: string): number {
  const match = /^reading-(\d+)$/.exec(name);
  return match === null ? Number.NaN : Number(match[1]);
}

/** The digest that the agent computes over its rows, computed over what the server has. */
export function digestOf(records: readonly RecordSeen[]): string {
  const lines = records.map(({ name, sha256 }) => `${name} ${sha256}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

export function recordsUpTo(records: readonly RecordSeen[], upTo: number, first: number | null): RecordSeen[] {
  return records
    .filter(({ name }) => numberOf(name) <= upTo && numberOf(name) >= (first ?? 0))
    .sort((a, b) => numberOf(a.name) - numberOf(b.name));
}

export function highestOf(records: readonly RecordSeen[]): number {
  return Math.max(0, ...records.map(({ name }) => numberOf(name)).filter(Number.isFinite));
}

function lostRows(records: readonly RecordSeen[], readings: ReadingsSeen): string | false {
  const acknowledged = recordsUpTo(records, readings.upTo, readings.first);
  if (acknowledged.length === 0) return 'nothing had been acknowledged, so nothing is proven';
  if (readings.count !== acknowledged.length)
    return `${acknowledged.length} acknowledged, the agent has ${readings.count}`;
  return digestOf(acknowledged) !== readings.sha256 && 'the rows differ from what was acknowledged';
}

function committedVersion(status: Seen<'fixed'>['status']): string | null {
  return status.slots.find((slot) => slot.component === 'app' && wordOf(slot.role) === 'committed')?.version ?? null;
}

/** HTML as a browser would read it, as far as a sentence goes. */
export function textOf(html: string): string {
  const entities: Record<string, string> = {
    '&amp;': '&',
    '&lt;': '<',
    '&gt;': '>',
    '&quot;': '"',
    '&#39;': "'",
    '&#x27;': "'",
  };
  return html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:amp|lt|gt|quot|#39|#x27);/g, (entity) => entities[entity] ?? entity)
    .replace(/\s+/g, ' ');
}

export const checks: readonly Check[] = [
  check('fleet-runs-1.0.49', 'fleet', ({ appliances, agents, isRoot }) => {
    for (const name of ['harbour-1', 'harbour-2']) {
      const view = appliances.find((one) => one.name === name);
      if (view?.reported.agent.app?.version !== '1.0.49') return `${name} does not report 1.0.49`;
      const agent = agents[name];
      if (!agent) return `${name} has no agent in the process table`;
      if (isRoot && agent.uid === 0) return `the agent of ${name} runs as root`;
    }
    return false;
  }),
  check('third-is-offline', 'fleet', ({ appliances, agents }) => {
    const third = appliances.find((one) => one.name === 'harbour-3');
    if (third === undefined || third.online) return 'harbour-3 shows as online';
    if (third.checkIns.agent === null) return 'harbour-3 shows without its age';
    return agents['harbour-3'] !== null && 'harbour-3 has an agent in the process table';
  }),
  check('order-crashes-agent', 'crash', ({ order }) => {
    if (order.crashes < 2) return `the server counts ${order.crashes} crashes`;
    return (
      !/^sent; the agent has crashed \d+ times since/i.test(order.sentence) && `the order reads: ${order.sentence}`
    );
  }),
  check(
    'crash-text-is-told',
    'crash',
    ({ order }) => !order.crashText.includes(errorText) && 'the text of the crash is missing',
  ),
  check('updater-reports-crash', 'crash', ({ crashes }) => {
    const told = crashes.find((one) => one.role === 'updater' && one.code === 1 && one.output.includes(errorText));
    return told === undefined && 'no report by the updater with exit status and last output';
  }),
  check(
    'agent-was-restarted',
    'crash',
    ({ pids }) => new Set(pids).size < 2 && 'the process table shows one agent only',
  ),
  check('page-answers', 'crash', ({ page }) => {
    if (page.status !== 200) return `the field page answered ${page.status}`;
    return !/crashed/.test(textOf(page.html)) && 'the field page does not say that the agent crashes';
  }),
  check('fix-is-committed', 'fixed', ({ appliance, status }) => {
    if (appliance.reported.updater.app?.version !== '1.0.52')
      return 'the server has no word of the updater about 1.0.52';
    if (committedVersion(status) !== '1.0.52') return `the command line says ${committedVersion(status)}`;
    return status.agent.version !== '1.0.52' && 'the agent that answers is another version';
  }),
  check('order-ends', 'fixed', ({ order }) => order.state !== 'succeeded' && `the order is ${order.state}`),
  check('fix-keeps-state', 'fixed', ({ records, readings }) => lostRows(records, readings)),
  check('bad-release-is-rolled-back', 'rolledBack', ({ status, history }) => {
    if (committedVersion(status) !== '1.0.52' || status.agent.version !== '1.0.52') return '1.0.52 does not serve';
    const line = history.find((one) => one.to === '1.0.53');
    if (line === undefined || wordOf(line.outcome) !== 'rolled-back') return '1.0.53 was not rolled back';
    return line.reason !== 'stalled' && `the reason is ${line.reason}`;
  }),
  check('quarantine-holds', 'rolledBack', ({ status, appliance }) => {
    const entry = status.quarantine.find((one) => one.version === '1.0.53');
    if (entry === undefined) return '1.0.53 is not in quarantine';
    return !appliance.quarantine.includes(entry.manifest) && 'the server does not know of the quarantine';
  }),
  check('state-is-restored', 'rolledBack', ({ history }) => {
    const restored = history.find((one) => one.to === '1.0.53')?.restored ?? [];
    if (!restored.some((file) => file.name === 'state.db')) return 'no digest of the restored database';
    return restored.some((file) => file.snapshot !== file.restored) && 'a restored file is not the snapshot';
  }),
  check('rows-are-kept', 'rolledBack', ({ recordsBefore, readingsBefore }) => lostRows(recordsBefore, readingsBefore)),
  check('trial-outbox-arrives', 'rolledBack', ({ recordsAfter, readingsAfter }) => {
    const onServer = recordsUpTo(recordsAfter, readingsAfter.upTo, readingsAfter.first).length;
    return (
      onServer <= readingsAfter.count &&
      `no record of the trial: ${onServer} on the server, ${readingsAfter.count} here`
    );
  }),
  check('rollout-is-paused', 'rolledBack', ({ rollout }) => {
    if (rollout.version !== '1.0.53' || rollout.state !== 'paused') return `the rollout is ${rollout.state}`;
    return !rollout.reason.includes('stalled') && 'the rollout does not say why';
  }),
  check('why-in-same-words', 'rolledBack', ({ why }) => {
    const { commandLine } = why;
    if (!commandLine.includes('1.0.53') || !commandLine.includes('stalled'))
      return `the command line says: ${commandLine}`;
    if (!textOf(why.page).includes(commandLine)) return 'the field page says something else';
    return !textOf(why.dashboard).includes(commandLine) && 'the dashboard says something else';
  }),
  check('newest-is-committed', 'newest', ({ first }) => {
    const version = first.reported.updater.app?.version;
    return version !== '1.0.54' && `harbour-1 is on ${version}`;
  }),
  check('third-in-one-step', 'newest', ({ third, thirdHistory }) => {
    if (third.reported.updater.app?.version !== '1.0.54' || !third.online) return 'harbour-3 is not on 1.0.54';
    const [line, ...more] = thirdHistory;
    if (line?.from !== '1.0.49' || line.to !== '1.0.54' || more.length > 0) return 'it was not one transaction';
    return wordOf(line.outcome) !== 'committed' && 'it was not committed';
  }),
  check('control-stays-blocked', 'control', ({ appliance, order, updaterProcesses, dashboard }) => {
    if (appliance.reported.agent.app?.version !== '1.0.49') return 'harbour-2 left 1.0.49';
    if (appliance.checkIns.updater !== null || updaterProcesses.length > 0) return 'an updater ran on harbour-2';
    if (appliance.state !== 'blocked') return `harbour-2 shows as ${appliance.state}`;
    if (order.state === 'succeeded') return 'the order succeeded on harbour-2';
    return !textOf(dashboard).includes('harbour-2') && 'the dashboard does not show harbour-2';
  }),
];
