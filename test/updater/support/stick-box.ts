import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { DesiredInput } from '../../../protocol/check-in.ts';
import type { Layout } from '../../../protocol/layout.ts';
import type { Quarantined, StateBody } from '../../../protocol/state-record.ts';
import type { StickLine } from '../../../protocol/status.ts';
import { replaceJson } from '../../../updater/effects/durable.ts';
import { type Files, realFiles } from '../../../updater/effects/files.ts';
import { next } from '../../../updater/machine/table.ts';
import { takeRequest } from '../../../updater/requests/requests.ts';
import { takeFromStick } from '../../../updater/requests/stick.ts';
import { stickLines } from '../../../updater/requests/stick-notes.ts';
import { type BuiltRelease, makeReleaseFixture, noise, type ReleaseFixture } from '../../support/bundle-fixture.ts';
import { setUp } from '../release/install.ts';
import { saveFirstState } from './record-appliance.ts';
import { idleState } from './states.ts';
import { temporaryAppliance } from './temporary-appliance.ts';
import { testAppliance } from './test-appliance.ts';

/** An appliance that runs 1.0.49, has no network, and looks for sticks below one directory. */
export class StickBox {
  readonly layout: Layout;
  readonly fixture: ReleaseFixture;
  readonly media: string;
  readonly stick: string;

  private constructor(layout: Layout, fixture: ReleaseFixture) {
    this.layout = layout;
    this.fixture = fixture;
    this.media = join(layout.root, 'media');
    this.stick = join(this.media, 'usb0');
  }

  static async make(): Promise<StickBox> {
    const fixture = await makeReleaseFixture();
    onTestFinished(() => fixture[Symbol.dispose]());
    const box = new StickBox(temporaryAppliance(), fixture);
    setUp(fixture, box.layout);
    saveFirstState(box.layout, idleState());
    mkdirSync(box.stick, { recursive: true });
    return box;
  }

  build(version: string, securityVersion = 1): Promise<BuiltRelease> {
    return this.fixture.build({ version, securityVersion, files: { 'main.js': noise(version, 300_000) } });
  }

  put(release: BuiltRelease, name = `app-${release.version}.hfb`): string {
    const path = join(this.stick, name);
    copyFileSync(release.path, path);
    return path;
  }

  appliance(files: Files = realFiles) {
    const { appliance } = testAppliance(this.layout, files);
    return { ...appliance, settings: { ...appliance.settings, sticks: [this.media] } };
  }

  /** The version that is taken from a stick, by an updater that has just been started. */
  async taken(state: StateBody = idleState(), files: Files = realFiles): Promise<string | null> {
    const event = await takeFromStick(this.appliance(files), state);
    return event?.kind === 'take' ? event.choice.version : null;
  }

  told(state: StateBody = idleState()): StickLine[] {
    return stickLines(this.appliance(), state);
  }

  /** What the last signed answer asked for. */
  serverSaid(changes: Partial<DesiredInput>): void {
    const desired = { release: null, path: '/releases', openForS: 60, reasons: [], ...changes };
    const answer = { etag: null, desired, nextInS: 60, boot: '', triedMs: 0, answered: null, failures: 0, error: null };
    replaceJson(realFiles, `${this.layout.run}/last-answer.json`, answer, 0o600);
  }

  /** A person lets things be tried again. */
  async retry(state: StateBody): Promise<StateBody> {
    const id = randomUUID();
    const left = state.quarantine.at(-1);
    const asked = { v: 1, id, kind: 'retry', ...(left === undefined ? {} : { manifest: left.manifest }) };
    realFiles.makeDirectory(this.layout.requests, 0o700);
    replaceJson(realFiles, `${this.layout.requests}/${id}.json`, asked, 0o600);
    const event = await takeRequest(this.appliance(), state);
    return event === null || event === 'asked' ? state : next(state, event);
  }
}

/** Runs 1.0.49, and has this release in quarantine. */
export function inQuarantine({ manifest, version }: BuiltRelease, reason: Quarantined['reason']): StateBody {
  const verdict = reason === 'trial' ? 'stalled' : 'by-hand';
  return idleState({ quarantine: [{ manifest, version, reason, verdict }] });
}
