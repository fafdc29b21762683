import type { Component } from '../../protocol/component.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { compareVersions, type Version } from '../../protocol/version.ts';
import { ReleaseError } from './release-error.ts';

/** What this appliance is, and what it does not take. */
export interface Acceptance {
  /** The lowest security version, by component. */
  readonly floor: Readonly<Record<'app' | 'updater', number>>;
  readonly isQuarantined: (manifest: Digest) => boolean;
  /** Has it slots of the operating system that it may write? */
  readonly writesOs: boolean;
  /** The running updater's version. */
  readonly updater: Version;
  /** What is committed now, by component; null: unknown, and then only a release that does not ask fits. */
  readonly installed: Readonly<Record<Component, Version | null>>;
  /** null: unknown, and then only a release for any hardware fits. */
  readonly hardware: string | null;
}

/** @throws ReleaseError `quarantined`: a person must want it, or the server something newer */
export function refuseQuarantined({ isQuarantined }: Acceptance, manifest: Digest, subject: string): void {
  if (isQuarantined(manifest)) throw new ReleaseError('quarantined', `${subject} failed here before`);
}

/** @throws ReleaseError `quarantined`, `floor`, `incompatible` */
export function requireAcceptable(manifest: Manifest, digest: Digest, acceptance: Acceptance): void {
  const { component, version, securityVersion } = manifest;
  const subject = `${component} ${version}`;
  refuseQuarantined(acceptance, digest, subject);
  const floor = component === 'os' ? 0 : acceptance.floor[component];
  if (securityVersion < floor) {
    throw new ReleaseError('floor', `${subject} has security version ${securityVersion}, the floor here is ${floor}`);
  }
  for (const { what, next } of misfits(manifest, acceptance)) {
    throw new ReleaseError('incompatible', `${subject} ${what}`, { next });
  }
}

interface Misfit {
  readonly what: string;
  readonly next: string;
}

/** Why it does not fit this appliance, each with what to do about it. */
function* misfits(manifest: Manifest, acceptance: Acceptance): Generator<Misfit> {
  const { component, compatibility } = manifest;
  const { updater, installed, hardware } = acceptance;
  if (component === 'os' && !acceptance.writesOs) {
    yield {
      what: 'is an operating system, and this appliance has no os slots that can be written',
      next: 'Name its os slots in settings.json, or choose a release of app or updater.',
    };
  }
  if (isTooOld(updater, compatibility.updater)) {
    yield {
      what: `needs updater ${compatibility.updater} or newer, this is ${updater}`,
      next: 'Update the updater first, then install this.',
    };
  }
  if (isTooOld(installed.os, compatibility.os)) {
    yield {
      what: `needs operating system ${compatibility.os} or newer, ${named(installed.os)}`,
      next: 'Update the operating system first, or choose a release for the one that is here.',
    };
  }
  if (isTooOld(installed[component], compatibility.from)) {
    yield {
      what: `can only follow ${component} ${compatibility.from} or newer, ${named(installed[component])}`,
      next: `Install ${component} ${compatibility.from} or a newer one that can follow what is here first, then this.`,
    };
  }
  if (compatibility.hardware.length > 0 && (hardware === null || !compatibility.hardware.includes(hardware))) {
    yield {
      what: `is for ${compatibility.hardware.join(', ')}, not for ${hardware ?? 'this hardware, which has no name here'}`,
      next: 'Choose a release for this hardware.',
    };
  }
}

/** What nobody knows is not new enough. */
function isTooOld(here: Version | null, needed: Version | undefined): boolean {
  return needed !== undefined && (here === null || compareVersions(here, needed) < 0);
}

function named(here: Version | null): string {
  return here === null ? 'and what is here is not known' : `here is ${here}`;
}
