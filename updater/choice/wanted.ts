import { z } from 'zod';
import type { Desired } from '../../protocol/check-in.ts';
import type { Component } from '../../protocol/component.ts';
import type { Installed, Quarantined, StateBody } from '../../protocol/state-record.ts';
import { compareVersions, type Version } from '../../protocol/version.ts';
import { wordOf } from '../../protocol/wire-enum.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { replaceJson } from '../effects/durable.ts';
import { readKept } from '../effects/kept-file.ts';
import { rulesOf } from '../machine/component-rules.ts';
import type { Choice } from '../machine/event.ts';
import { launchable } from '../record/quick-look.ts';
import { assignedAs, nameOf } from '../words/component-words.ts';
import { choiceTexts } from '../words/texts.ts';

/** What the server's newest decision means here. */
export type Wanted =
  | { readonly kind: 'nothing'; readonly why: 'none-wanted' | 'is-here' | 'quarantined' }
  | { readonly kind: 'take'; readonly choice: Choice }
  /** It is not taken, and the server may not know why. */
  | { readonly kind: 'hold'; readonly reason: string };

/**
 * The release that a person went back from, if `version` lies between it and what runs: a person who left the newest
 * version did not ask for the one before it. Only a version newer than the one that was left comes automatically.
 */
export function leftByHand(state: StateBody, version: Version, component: Component = 'app'): Quarantined | undefined {
  const runs = rulesOf(component).installed(state)?.version;
  if (runs === undefined || compareVersions(version, runs) <= 0) return undefined;
  return state.quarantine.find(
    (entry) =>
      entry.reason === 'by hand' &&
      (entry.component ?? 'app') === component &&
      compareVersions(entry.version, version) > 0,
  );
}

/**
 * What to do about the server's decision (S26, S60: state is reconciled, not commanded). Pure.
 * @param isDamaged the committed version of the wanted component does not look whole ({@link isReplacedByFactory})
 */
export function wantedOf(state: StateBody, desired: Desired | null, isDamaged = false): Wanted {
  if (desired === null || desired.release === null) return { kind: 'nothing', why: 'none-wanted' };
  const { component, version, manifest } = desired.release;
  const installed = installedOf(state, component);
  if (typeof component !== 'string' || installed === null) {
    const reason = choiceTexts.unknownComponent(wordOf(component), version);
    return { kind: 'hold', reason };
  }
  const rules = rulesOf(component);
  if (manifest === installed.manifest && !rules.isMended(state, isDamaged)) return { kind: 'nothing', why: 'is-here' };
  if (state.quarantine.some((entry) => entry.manifest === manifest)) return { kind: 'nothing', why: 'quarantined' };
  const why = rules.whyNotNow(state);
  if (why !== null) return { kind: 'hold', reason: choiceTexts.waits(nameOf(component, version), why) };
  const left = desired.assigned === true ? undefined : leftByHand(state, version, component);
  if (left !== undefined) {
    const reason = choiceTexts.olderThanLeft(left.version, version);
    return { kind: 'hold', reason };
  }
  const source = { kind: 'server', path: desired.path } as const;
  return {
    kind: 'take',
    choice: { kind: 'update', component, version, manifest, source, waits: state.row !== 'safe' },
  };
}

/**
 * What a person who installs a release from a file must know about the server; null: nothing. The server replaces a
 * version older than the one it wants, unless that one is in quarantine or another one is assigned.
 * @param name the appliance's, as an operator types it
 */
export function undoneByServer(
  state: StateBody,
  desired: Desired | null,
  choice: Choice,
  name: string,
): { readonly sentence: string; readonly next: string } | null {
  const { component, version, kind } = choice;
  if (kind !== 'update' || desired === null) return null;
  const offered = desired.release?.component === component ? desired.release : null;
  // What the server has rolled out here is what runs; it offers it again as soon as something else runs.
  const wanted = offered ?? installedOf(state, component);
  if (wanted === null) return null;
  const isLeft = state.quarantine.some((entry) => entry.manifest === wanted.manifest);
  if (isLeft || wanted.manifest === choice.manifest || compareVersions(version, wanted.version) >= 0) return null;
  return {
    sentence: choiceTexts.broughtBack(wanted.version, offered === null ? choiceTexts.named : choiceTexts.wantedHere),
    next: choiceTexts.toKeep(version, name, assignedAs(component, version)),
  };
}

type WantedComponent = NonNullable<Desired['release']>['component'];

/** null: nothing of a component that the record does not know is installed automatically. */
function installedOf(state: StateBody, component: WantedComponent): Installed | null {
  return typeof component === 'string' ? rulesOf(component).installed(state) : null;
}

/** Does the committed version of the wanted component look damaged, so that its factory version runs? */
export function isReplacedByFactory(
  { files, layout }: Pick<Appliance, 'files' | 'layout'>,
  state: StateBody,
  desired: Desired | null,
): boolean {
  const component = desired?.release?.component;
  if (typeof component !== 'string' || !rulesOf(component).factoryStandsIn) return false;
  const installed = installedOf(state, component);
  return installed !== null && launchable(files, layout, component, installed.slot) === null;
}

/** The reason for display; null during a transaction, or when nothing is held. */
export function holdReason(state: StateBody, desired: Desired | null): string | null {
  if (state.transaction !== null) return null;
  const wanted = wantedOf(state, desired);
  return wanted.kind === 'hold' ? wanted.reason : null;
}

const belowFloorShape = z.object({ manifest: z.string() });
const noteBytesMax = 1_000;

function belowFloorPath(appliance: Appliance): string {
  return `${appliance.layout.run}/below-floor.json`;
}

/**
 * Remembers, until a reboot, that a release is below the floor. A floor never falls, so asking again changes nothing.
 */
export function noteBelowFloor(appliance: Appliance, manifest: string): void {
  replaceJson(appliance.files, belowFloorPath(appliance), { manifest }, 0o600);
}

/** A person wants it tried again, and gets the refusal again. */
export function forgetBelowFloor(appliance: Appliance): void {
  appliance.files.unlink(belowFloorPath(appliance));
}

export function isBelowFloor(appliance: Appliance, manifest: string): boolean {
  const note = readKept(appliance.files, belowFloorPath(appliance), noteBytesMax, belowFloorShape);
  return note?.manifest === manifest;
}
