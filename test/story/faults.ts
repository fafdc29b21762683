import type { Observations, ReadingsSeen } from './observations.ts';

/** Everything that a story sees. */
export type Seen = { [Scene in keyof Observations]-?: NonNullable<Observations[Scene]> };

/** One small lie in what was seen, and the check that it must make fail: that one, and no other. */
export interface Fault {
  readonly check: string;
  readonly what: string;
  readonly plant: (seen: Seen) => void;
}

function fault(check: string, what: string, plant: (seen: Seen) => void): Fault {
  return { check, what, plant };
}

function found<T>(list: readonly T[], isMeant: (one: T) => boolean): T {
  const one = list.find(isMeant);
  if (one === undefined) throw new RangeError('the recorded observations lack what this fault lies about');
  return one;
}

/** The same digest but for one byte. */
function otherByte(digest: string): string {
  return `${digest.startsWith('00') ? '01' : '00'}${digest.slice(2)}`;
}

function view(seen: Seen, name: string) {
  return found(seen.fleet.appliances, (one) => one.name === name);
}

function committedSlot(status: Seen['fixed']['status']) {
  return found(status.slots, (slot) => slot.component === 'app' && slot.role === 'committed');
}

function badLine(seen: Seen) {
  return found(seen.rolledBack.history, (line) => line.to === '1.0.53');
}

function appOf(reported: Seen['newest']['first']['reported']['agent']) {
  if (reported.app === undefined) throw new RangeError('the recorded appliance reports no agent');
  return reported.app;
}

const fleet: readonly Fault[] = [
  fault('fleet-runs-1.0.49', 'harbour-2 reports another version', (seen) => {
    appOf(view(seen, 'harbour-2').reported.agent).version = '1.0.48';
  }),
  fault('fleet-runs-1.0.49', 'no agent of harbour-1 in the process table', (seen) => {
    seen.fleet.agents['harbour-1'] = null;
  }),
  fault('fleet-runs-1.0.49', 'an agent that runs as root', (seen) => {
    seen.fleet.isRoot = true;
    seen.fleet.agents['harbour-1'] = { pid: 4711, uid: 0 };
  }),
  fault('third-is-offline', 'harbour-3 online', (seen) => {
    view(seen, 'harbour-3').online = true;
  }),
  fault('third-is-offline', 'harbour-3 never seen', (seen) => {
    view(seen, 'harbour-3').checkIns.agent = null;
  }),
  fault('third-is-offline', 'harbour-3 without its age', (seen) => {
    view(seen, 'harbour-3').sentence = 'Offline';
  }),
  fault('third-is-offline', 'an agent of harbour-3 in the process table', (seen) => {
    seen.fleet.agents['harbour-3'] = { pid: 4711, uid: 4711 };
  }),
];

const crash: readonly Fault[] = [
  fault('order-crashes-agent', 'one crash only', (seen) => {
    seen.crash.order.crashes = 1;
  }),
  fault('order-crashes-agent', 'an order that says only that it was sent', (seen) => {
    seen.crash.order.sentence = 'sent';
  }),
  fault('crash-text-is-told', 'another text', (seen) => {
    seen.crash.order.crashText = "'ApplianceConfig' object has no attribute 'site_name'";
  }),
  fault('updater-reports-crash', 'reports that came from the agent', (seen) => {
    for (const one of seen.crash.crashes) one.role = 'agent';
  }),
  fault('updater-reports-crash', 'reports without an exit status', (seen) => {
    for (const one of seen.crash.crashes) one.code = null;
  }),
  fault('updater-reports-crash', 'reports without the last output', (seen) => {
    for (const one of seen.crash.crashes) one.output = 'it ended';
  }),
  fault('agent-was-restarted', 'one process id, seen twice', (seen) => {
    seen.crash.pids = [4711, 4711];
  }),
  fault('page-answers', 'a page that answers 502', (seen) => {
    seen.crash.page.status = 502;
  }),
  fault('page-answers', 'a page that calls the agent healthy', (seen) => {
    const { page } = seen.crash;
    page.html = page.html.replaceAll(/1\.0\.49 crashed [^.]*\./g, '1.0.49 runs and is healthy.');
  }),
];

/** The agent has not all of what was acknowledged, in each way that it may lack something. */
function missingRows(check: string, readingsOf: (seen: Seen) => ReadingsSeen): Fault[] {
  return [
    fault(check, 'one acknowledged row missing', (seen) => {
      readingsOf(seen).count -= 1;
    }),
    fault(check, 'one byte of the digest over the rows changed', (seen) => {
      readingsOf(seen).sha256 = otherByte(readingsOf(seen).sha256);
    }),
    fault(check, 'an agent that begins anew at its second row', (seen) => {
      readingsOf(seen).count -= 1;
      readingsOf(seen).first = 2;
    }),
    fault(check, 'an agent that was asked for less than was acknowledged', (seen) => {
      readingsOf(seen).upTo -= 1;
    }),
  ];
}

const fixed: readonly Fault[] = [
  fault('fix-is-committed', 'an updater that still reports 1.0.49', (seen) => {
    appOf(seen.fixed.appliance.reported.updater).version = '1.0.49';
  }),
  fault('fix-is-committed', 'an agent that never checked in as 1.0.52', (seen) => {
    appOf(seen.fixed.appliance.reported.agent).version = '1.0.49';
  }),
  fault('fix-is-committed', 'a command line with another version in the committed slot', (seen) => {
    committedSlot(seen.fixed.status).version = '1.0.49';
  }),
  fault('fix-is-committed', 'no slot that is committed', (seen) => {
    committedSlot(seen.fixed.status).role = 'on trial';
  }),
  fault('fix-is-committed', 'another version that answers', (seen) => {
    seen.fixed.status.agent.version = '1.0.49';
  }),
  fault('fix-is-committed', 'a transaction that was not committed', (seen) => {
    found(seen.fixed.status.transactions, (line) => line.to === '1.0.52').outcome = 'rolled-back';
  }),
  fault('order-ends', 'an order that is still sent', (seen) => {
    seen.fixed.order.state = 'sent';
  }),
  fault('order-ends', 'an order that failed', (seen) => {
    seen.fixed.order.state = 'failed';
  }),
  ...missingRows('fix-keeps-state', (seen) => seen.fixed.readings),
  fault('fix-keeps-state', 'nothing acknowledged', (seen) => {
    seen.fixed.records = [];
  }),
];

const rolledBack: readonly Fault[] = [
  fault('bad-release-is-rolled-back', '1.0.53 in the committed slot', (seen) => {
    committedSlot(seen.rolledBack.status).version = '1.0.53';
  }),
  fault('bad-release-is-rolled-back', '1.0.53 that answers', (seen) => {
    seen.rolledBack.status.agent.version = '1.0.53';
  }),
  fault('bad-release-is-rolled-back', '1.0.53 committed', (seen) => {
    badLine(seen).outcome = 'committed';
  }),
  fault('bad-release-is-rolled-back', 'another reason', (seen) => {
    badLine(seen).reason = 'crash-loop';
  }),
  fault('quarantine-holds', 'an appliance without quarantine', (seen) => {
    seen.rolledBack.status.quarantine = [];
  }),
  fault('quarantine-holds', 'a server that knows of no quarantine', (seen) => {
    seen.rolledBack.appliance.quarantine = [];
  }),
  fault('state-is-restored', 'one byte of the restored database changed', (seen) => {
    const file = found(badLine(seen).restored ?? [], (one) => one.name === 'state.db');
    file.restored = otherByte(file.restored);
  }),
  fault('state-is-restored', 'a log beside the database that is not the one of the snapshot', (seen) => {
    const digest = '0'.repeat(64);
    badLine(seen).restored?.push({ name: 'state.db-wal', snapshot: digest, restored: otherByte(digest) });
  }),
  fault('state-is-restored', 'a database that nobody digested', (seen) => {
    badLine(seen).restored = badLine(seen).restored?.filter((one) => one.name !== 'state.db');
  }),
  ...missingRows('rows-are-kept', (seen) => seen.rolledBack.readingsBefore),
  fault('rows-are-kept', 'nothing acknowledged', (seen) => {
    seen.rolledBack.recordsBefore = [];
  }),
  fault('trial-outbox-arrives', 'one record of the trial missing on the server', (seen) => {
    const before = seen.rolledBack.recordsBefore.length;
    const trial = seen.rolledBack.recordsAfter[before];
    seen.rolledBack.recordsAfter = seen.rolledBack.recordsAfter.filter((one) => one !== trial);
  }),
  fault('trial-outbox-arrives', 'no more records on the server than rows here', (seen) => {
    seen.rolledBack.readingsAfter.count = seen.rolledBack.readingsAfter.upTo;
  }),
  fault('rollout-is-paused', 'a rollout that is still running', (seen) => {
    seen.rolledBack.rollout.state = 'running';
  }),
  fault('rollout-is-paused', 'a rollout that does not say why', (seen) => {
    seen.rolledBack.rollout.reason = 'paused by an operator';
  }),
  ...(['page', 'dashboard'] as const).map((place) =>
    fault('why-in-same-words', `a ${place} that says it in other words`, ({ rolledBack: { why } }) => {
      why[place] = why[place].replaceAll('was rolled back, because', 'was taken back since');
    }),
  ),
  fault('why-in-same-words', 'a command line that does not say why', ({ rolledBack: { why } }) => {
    why.commandLine = '1.0.52 runs.';
  }),
];

const ending: readonly Fault[] = [
  fault('newest-is-committed', 'an updater of harbour-1 that reports 1.0.52', (seen) => {
    appOf(seen.newest.first.reported.updater).version = '1.0.52';
  }),
  fault('newest-is-committed', 'an agent of harbour-1 that reports 1.0.52', (seen) => {
    appOf(seen.newest.first.reported.agent).version = '1.0.52';
  }),
  fault('third-in-one-step', 'harbour-3 still on 1.0.49', (seen) => {
    appOf(seen.newest.third.reported.updater).version = '1.0.49';
  }),
  fault('third-in-one-step', 'harbour-3 offline', (seen) => {
    seen.newest.third.online = false;
  }),
  fault('third-in-one-step', 'two transactions', (seen) => {
    const [line] = seen.newest.thirdHistory;
    if (line !== undefined) seen.newest.thirdHistory.push({ ...line, tx: line.tx + 1, from: '1.0.52' });
  }),
  fault('third-in-one-step', 'a step from another version', (seen) => {
    for (const line of seen.newest.thirdHistory) line.from = '1.0.52';
  }),
  fault('third-in-one-step', 'a transaction that was rolled back', (seen) => {
    for (const line of seen.newest.thirdHistory) line.outcome = 'rolled-back';
  }),
  fault('control-stays-blocked', 'harbour-2 on 1.0.54', (seen) => {
    appOf(seen.control.appliance.reported.agent).version = '1.0.54';
  }),
  fault('control-stays-blocked', 'an updater of harbour-2 that checked in', (seen) => {
    seen.control.appliance.checkIns.updater = { atMs: 0, ageS: 1 };
  }),
  fault('control-stays-blocked', 'an updater of harbour-2 in the process table', (seen) => {
    seen.control.updaterProcesses = [4711];
  }),
  fault('control-stays-blocked', 'harbour-2 shown as all right', (seen) => {
    seen.control.appliance.state = 'ok';
  }),
  fault('control-stays-blocked', 'an order of harbour-2 that has ended', (seen) => {
    Object.assign(seen.control.order, { state: 'succeeded', endedAtMs: 1 });
  }),
  fault('control-stays-blocked', 'a dashboard without harbour-2', (seen) => {
    seen.control.dashboard = seen.control.dashboard.replaceAll('harbour-2', 'harbour-9');
  }),
  fault('control-stays-blocked', 'a dashboard without harbour-1 beside it', (seen) => {
    seen.control.dashboard = seen.control.dashboard.replaceAll('harbour-1', 'harbour-9');
  }),
];

/** By scene, in the order of the story. */
export const faults: readonly Fault[] = [...fleet, ...crash, ...fixed, ...rolledBack, ...ending];
