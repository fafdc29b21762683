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
function digestOf(records: readonly RecordSeen[]): string {
  const lines = records.map(({ name, sha256 }) => `${name} ${sha256}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

function recordsUpTo(records: readonly RecordSeen[], upTo: number): RecordSeen[] {
  return records.filter(({ name }) => numberOf(name) <= upTo).sort((a, b) => numberOf(a.name) - numberOf(b.name));
}

export function highestOf(records: readonly RecordSeen[]): number {
  return Math.max(0, ...records.map(({ name }) => numberOf(name)).filter(Number.isFinite));
}

/** A story is far shorter than the agent keeps its rows: whatever was acknowledged, from the very first one, is there. */
function lostRows(records: readonly RecordSeen[], readings: ReadingsSeen): string | false {
  const highest = highestOf(records);
  if (highest === 0) return 'nothing had been acknowledged, so nothing is proven';
  if (readings.upTo < highest) return `the agent was asked for rows up to ${readings.upTo} of ${highest}`;
  const acknowledged = recordsUpTo(records, readings.upTo);
  if (readings.count !== acknowledged.length)
    return `${acknowledged.length} acknowledged, the agent has ${readings.count}`;
  return digestOf(acknowledged) !== readings.sha256 && 'the rows differ from what was acknowledged';
}

function committedVersion(status: Seen<'fixed'>['status']): string | null {
  return status.slots.find((slot) => slot.component === 'app' && wordOf(slot.role) === 'committed')?.version ?? null;
}

/** HTML as a browser would read it, as far as a sentence goes. */
function textOf(html: string): string {
  const entities: Record<string, string> = {
    '&amp;': '&',
    '&lt;': '<',
    '&gt;': '>',
    '&quot;': '"',
    '&#39;': "'",
    '&#x27;': "'",
  };
  return html
    .replace(/<(style|script)\b[^>]*>.*?<\/\1>/gs, ' ')
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
    if (third.checkIns.agent === null || !/^Offline: not heard from for \d+ /.test(third.sentence))
      return `harbour-3 shows without its age: ${third.sentence}`;
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
    // With the count and the exit status: "crashed" alone may be part of what the agent itself wrote.
    const says = /1\.0\.49 crashed (?:once|\d+ times) \(last exit: 1\)/.test(textOf(page.html));
    return !says && 'the field page does not say that the agent crashes';
  }),
  check('fix-is-committed', 'fixed', ({ appliance, status }) => {
    if (appliance.reported.updater.app?.version !== '1.0.52')
      return 'the server has no word of the updater about 1.0.52';
    if (committedVersion(status) !== '1.0.52') return `the command line says ${committedVersion(status)}`;
    const tried = status.transactions.find((one) => one.from === '1.0.49' && one.to === '1.0.52');
    if (tried === undefined || wordOf(tried.outcome) !== 'committed') return 'no transaction from 1.0.49 was committed';
    if (appliance.reported.agent.app?.version !== '1.0.52') return 'the server has no word of the agent 1.0.52 itself';
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
    const onServer = recordsUpTo(recordsAfter, readingsAfter.upTo).length;
    // Numbers are given once and for all, over the rollback too: one that the server lacks was lost in the outbox.
    if (onServer !== readingsAfter.upTo) return `the server has ${onServer} of ${readingsAfter.upTo} records`;
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
    const { agent, updater } = first.reported;
    const versions = [updater.app?.version, agent.app?.version];
    return versions.some((one) => one !== '1.0.54') && `harbour-1 is on ${versions.join(', its agent on ')}`;
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
    if (order.endedAtMs !== null) return `the order of harbour-2 is ${order.state}`;
    const text = textOf(dashboard);
    // Beside the first: both on one page, each with its state.
    if (!text.includes(`harbour-2 ${appliance.site} ${appliance.id} blocked`)) return 'the dashboard does not show it';
    return !/harbour-1 \S+ \S+ (?!blocked)/.test(text) && 'the dashboard does not show harbour-1 beside it';
  }),
];
