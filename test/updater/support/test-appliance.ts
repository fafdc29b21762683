import { randomUUID } from 'node:crypto';
import type { Layout } from '../../../protocol/layout.ts';
import { generateKeyPair } from '../../../protocol/trust/ed25519.ts';
import type { Appliance } from '../../../updater/appliance/appliance.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { makeHttp } from '../../../updater/effects/http.ts';
import { settingsShape } from '../../../updater/identity/settings.ts';
import type { AgentFacts, ProcessControl } from '../../../updater/processes/process-control.ts';
import { openCounter } from '../../../updater/server/counter.ts';
import { openEvents } from '../../../updater/server/events.ts';
import { proveSlot } from './proven-slot.ts';
import { digestOf, idleState } from './states.ts';
import { TestClock } from './test-clock.ts';

/** An agent that does as it is told and does no work: what a machine's process control would say of it. */
export class ObedientAgent implements ProcessControl {
  readonly isolation = 'none';
  readonly orders: string[] = [];
  facts: AgentFacts = { state: 'active', pid: 7, crashes: 0, lastExit: null, lastOutput: '' };

  agent(): Promise<AgentFacts> {
    return Promise.resolve(this.facts);
  }

  startAgent(): Promise<void> {
    this.orders.push('start');
    this.facts = { ...this.facts, state: 'active', pid: 7 };
    return Promise.resolve();
  }

  stopAgent(): Promise<void> {
    this.orders.push('stop');
    this.facts = { ...this.facts, state: 'inactive', pid: null };
    return Promise.resolve();
  }

  updaterOutput(): Promise<string> {
    return Promise.resolve('');
  }

  requestRun(): Promise<void> {
    return Promise.resolve();
  }
}

/** A whole appliance on real files, whose server is not there. */
export function testAppliance(layout: Layout, files: Files = realFiles) {
  const clock = new TestClock();
  const processes = new ObedientAgent();
  const { publicKey, privateKey } = generateKeyPair();
  const lines: string[] = [];
  proveSlot(layout, idleState().app.committed);
  const identity = {
    appliance: 'hf-00000000000000000001',
    name: 'one',
    site: 'north',
    // Nothing listens on the port of discard.
    url: 'http://127.0.0.1:9',
    answerKeys: [publicKey],
    rootDigest: digestOf('d'),
  };
  const appliance: Appliance = {
    files,
    clock,
    processes,
    layout,
    identity,
    http: makeHttp(),
    settings: settingsShape.parse({ processControl: { kind: 'systemd' } }),
    key: privateKey,
    counter: openCounter(files, layout),
    events: openEvents(files, layout, clock, identity.appliance),
    version: '1.0.0',
    manifest: null,
    builtAtS: 0,
    newTransactionId: () => `transaction-${randomUUID()}`,
    run: () => Promise.resolve({ code: null, stdout: '', stderr: '', complaint: 'nothing can be started here' }),
    log: (line) => lines.push(line),
  };
  return { appliance, clock, processes, lines };
}
