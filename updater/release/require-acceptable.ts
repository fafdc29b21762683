import { securityVersionStepMax } from '../../protocol/bounded-step.ts';
import type { Component } from '../../protocol/component.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { whyNotStartable } from '../../protocol/startable.ts';
import { compareVersions, type Version } from '../../protocol/version.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { releaseTexts } from '../words/texts.ts';

/** The facts of this appliance that decide what it accepts. */
export interface Acceptance {
  /** The lowest security version, by component; a component that is not named has none. */
  readonly floor: Readonly<Partial<Record<Component, number>>>;
  readonly isQuarantined: (manifest: Digest) => boolean;
  /** Does it have slots of the operating system that it may write? */
  readonly writesOs: boolean;
  /** The running updater's version. */
  readonly updater: Version;
  /** What is committed now, by component; null: unknown, and then only a release without a requirement fits. */
  readonly installed: Readonly<Record<Component, Version | null>>;
  /** null: unknown, and then only a release for any hardware fits. */
  readonly hardware: string | null;
}

/** @throws ReleaseError `quarantined`: a person must want it, or the server something newer */
export function refuseQuarantined({ isQuarantined }: Acceptance, manifest: Digest, subject: string): void {
  if (isQuarantined(manifest)) throw new ReleaseError('quarantined', releaseTexts.failedBefore(subject));
}

/** @throws ReleaseError `quarantined`, `bad-manifest`, `floor`, `floor-step`, `incompatible` */
export function requireAcceptable(manifest: Manifest, digest: Digest, acceptance: Acceptance): void {
  const { component, version, securityVersion } = manifest;
  const subject = `${component} ${version}`;
  refuseQuarantined(acceptance, digest, subject);
  const why = whyNotStartable(manifest);
  if (why !== null) {
    const next = releaseTexts.buildWithRuntime;
    throw new ReleaseError('bad-manifest', releaseTexts.notStarted(subject, why), { next });
  }
  const floor = acceptance.floor[component];
  if (floor !== undefined && securityVersion < floor) {
    throw new ReleaseError('floor', releaseTexts.belowFloor(subject, securityVersion, floor));
  }
  if (floor !== undefined && securityVersion - floor > securityVersionStepMax) {
    const step = releaseTexts.floorStep(securityVersion, securityVersionStepMax, floor);
    throw new ReleaseError('floor-step', releaseTexts.wouldShutOut(subject, step));
  }
  for (const { what, next } of misfits(manifest, acceptance)) {
    throw new ReleaseError('incompatible', `${subject} ${what}`, { next });
  }
}

interface Misfit {
  readonly what: string;
  readonly next: string;
}

/** Why the release does not fit this appliance, each reason with what to do about it. */
function* misfits(manifest: Manifest, acceptance: Acceptance): Generator<Misfit> {
  const { component, compatibility, image } = manifest;
  const { updater, installed, hardware } = acceptance;
  if (image !== null && !acceptance.writesOs) {
    yield {
      what: releaseTexts.noOsSlots,
      next: releaseTexts.noOsSlotsNext,
    };
  }
  if (isTooOld(updater, compatibility.updater)) {
    yield {
      what: releaseTexts.needsUpdater(compatibility.updater, updater),
      next: releaseTexts.needsUpdaterNext,
    };
  }
  if (isTooOld(installed.os, compatibility.os)) {
    yield {
      what: releaseTexts.needsOs(compatibility.os, named(installed.os)),
      next: releaseTexts.needsOsNext,
    };
  }
  if (isTooOld(installed[component], compatibility.from)) {
    yield {
      what: releaseTexts.follows(component, compatibility.from, named(installed[component])),
      next: releaseTexts.followsNext(component, compatibility.from),
    };
  }
  if (compatibility.hardware.length > 0 && (hardware === null || !compatibility.hardware.includes(hardware))) {
    yield {
      what: releaseTexts.otherHardware(compatibility.hardware.join(', '), hardware ?? releaseTexts.unknownHardware),
      next: releaseTexts.otherHardwareNext,
    };
  }
}

/** An unknown version is not new enough. */
function isTooOld(here: Version | null, needed: Version | undefined): boolean {
  return needed !== undefined && (here === null || compareVersions(here, needed) < 0);
}

function named(here: Version | null): string {
  return here === null ? releaseTexts.hereUnknown : releaseTexts.hereIs(here);
}
