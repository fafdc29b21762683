import type { Observations } from './observations.ts';

/** How each check reads when it holds: what happened, and where that was seen. */
export interface Told {
  readonly text: string;
  readonly how: string;
}

export function toldOf({ crash, fixed, rolledBack }: Observations): Readonly<Record<string, Told>> {
  return {
    'fleet-runs-1.0.49': {
      text: 'harbour-1 and -2 run 1.0.49, each as its own user',
      how: 'server API, process table',
    },
    'third-is-offline': { text: 'harbour-3 has been off since before', how: 'server API: offline, its age' },
    'order-crashes-agent': { text: `order: ${crash?.order.sentence ?? ''}`, how: 'server API' },
    'crash-text-is-told': { text: "  has no attribute 'mcp_api_key_file'", how: 'server API, its text' },
    'updater-reports-crash': {
      text: 'the updater tells the server, since the agent cannot',
      how: 'event with exit status, output',
    },
    'agent-was-restarted': {
      text: 'it starts again and crashes again',
      how: `process table: ${crash?.pids.length ?? 0} agents so far`,
    },
    'page-answers': { text: 'the field page answers while the agent is dead', how: 'HTTP 200, "crashed"' },
    'fix-is-committed': { text: '1.0.52 came, was tried and is committed', how: 'server, command line, health' },
    'order-ends': { text: 'the same order now ends', how: `order is ${fixed?.order.state ?? 'unknown'}` },
    'fix-keeps-state': {
      text: 'what 1.0.49 had acknowledged is all there',
      how: `${fixed?.readings.count ?? 0} rows, digest equal`,
    },
    'bad-release-is-rolled-back': { text: '1.0.53 is noticed and rolled back', how: 'command line: 1.0.52, stalled' },
    'quarantine-holds': { text: '1.0.53 is in quarantine here', how: 'command line, server API' },
    'state-is-restored': {
      text: 'state is back byte for byte before an agent starts',
      how: 'digests equal the snapshot',
    },
    'rows-are-kept': {
      text: 'rows acknowledged before it are read by 1.0.52',
      how: `${rolledBack?.readingsBefore.count ?? 0} rows, digest equal`,
    },
    'trial-outbox-arrives': { text: 'what 1.0.53 put in the outbox reached the server', how: 'more records than rows' },
    'rollout-is-paused': { text: 'the rollout paused itself', how: 'server API, with the reason' },
    'why-in-same-words': { text: 'page, dashboard and command line say why', how: 'the same words on all three' },
    'newest-is-committed': { text: '1.0.54 arrives and is committed', how: 'server API, by the updater' },
    'third-in-one-step': {
      text: 'harbour-3 wakes: 1.0.49 -> 1.0.54 in one transaction',
      how: 'its history has one line',
    },
    'control-stays-blocked': {
      text: 'harbour-2, its updater off, is blocked to the end',
      how: '1.0.49, order not done',
    },
  };
}
