import { TrustError, type TrustErrorCode } from '../../protocol/trust/trust-error.ts';
import { HttpError, type HttpErrorCode } from '../effects/http-error.ts';

type OwnCode =
  | 'bad-bundle'
  | 'bad-chunk'
  | 'bad-manifest'
  | 'chunk-missing'
  | 'device-unusable'
  | 'disk'
  | 'floor'
  | 'http-status'
  | 'incompatible'
  | 'no-file'
  | 'no-space'
  | 'not-a-bundle'
  | 'quarantined'
  | 'range-ignored'
  | 'read-only'
  | 'revoked'
  | 'root-not-pinned'
  | 'slot-damaged'
  | 'version-mismatch'
  | 'wrong-manifest';

export type ReleaseErrorCode = OwnCode | HttpErrorCode | TrustErrorCode;

interface Consequence {
  /**
   * True: the same release may install later without anybody doing something here (network, a damaged copy on the
   * way, space). False: this release is not for this appliance, or a person must act.
   */
  readonly temporary: boolean;
  readonly next: string;
}

const later = (next: string): Consequence => ({ temporary: true, next });
const final = (next: string): Consequence => ({ temporary: false, next });
const network = later('The updater tries again by itself; check the network and the server if it keeps happening.');
const copy = later('Fetch it again, or take another copy of the file; publish the release again if every copy fails.');
// Whoever stands between appliance and server can cause these: they must not count against the release.
const signing = later(
  'It is tried again. If it goes on: ask whoever signs releases; do not install files of unknown origin.',
);

const consequences: Readonly<Record<ReleaseErrorCode, Consequence>> = {
  unreachable: network,
  stalled: network,
  'timed-out': network,
  truncated: network,
  'too-large': network,
  'redirect-refused': later('Check for a captive portal or proxy between appliance and server.'),
  encoded: later('Check for a proxy that compresses answers between appliance and server.'),
  'http-status': network,
  'range-ignored': later('Check for a proxy that drops Range headers, or install from a file.'),
  'bad-bundle': copy,
  'bad-chunk': copy,
  'not-a-bundle': copy,
  'wrong-manifest': copy,
  'chunk-missing': later('The updater fetches what is missing by itself.'),
  'bad-manifest': final('Build and publish the release again.'),
  'version-mismatch': final('Build and publish the release again.'),
  'device-unusable': final('Check the os slots in settings.json, and that the slot is not mounted.'),
  disk: later('Check the disk: the updater tries again by itself.'),
  'no-space': later('Make room on the data partition; the updater tries again by itself.'),
  'read-only': later('Find out why the data partition can not be written: a worn-out disk often turns read-only.'),
  'slot-damaged': later('The updater writes the slot again by itself; check the disk if it keeps happening.'),
  'no-file': final('Check the name of the file, and that the stick is still there.'),
  floor: final('Choose a release with a security version that is not below the floor.'),
  incompatible: final('Update the updater first, or choose a release that this one understands.'),
  quarantined: final('Use retry to try it again, or roll out a newer release.'),
  revoked: final('Choose a release that is still listed.'),
  'root-not-pinned': final('Make a new claim code on the right server and set the appliance up with it.'),
  'tuf-too-large': signing,
  'tuf-malformed': copy,
  'tuf-threshold': signing,
  'tuf-version': signing,
  'tuf-expired': later('The server must sign fresh metadata; a file can be installed on site meanwhile.'),
  'tuf-mismatch': copy,
  'tuf-incomplete': network,
  'tuf-target-unknown': final('Choose a release that is still listed.'),
  'tuf-target-mismatch': copy,
};

/** Why a release can not be installed: what happened (message) and what to do next. */
export class ReleaseError extends Error {
  readonly code: ReleaseErrorCode;
  readonly next: string;
  /** See {@link Consequence.temporary}. */
  readonly temporary: boolean;
  constructor(code: ReleaseErrorCode, message: string, options?: ErrorOptions & { readonly next?: string }) {
    super(message, options);
    this.name = 'ReleaseError';
    this.code = code;
    this.next = options?.next ?? consequences[code].next;
    this.temporary = consequences[code].temporary;
  }
}

const diskCodes: Readonly<Record<string, OwnCode>> = {
  EROFS: 'read-only',
  EACCES: 'read-only',
  EPERM: 'read-only',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EIO: 'disk',
};

/** An operational failure below, as a {@link ReleaseError}; anything else comes back as it is, to be thrown on. */
export function asReleaseError(error: unknown, subject: string): unknown {
  if (error instanceof HttpError || error instanceof TrustError) {
    return new ReleaseError(error.code, `${subject}: ${error.message}`, { cause: error });
  }
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    const code = diskCodes[error.code];
    if (code !== undefined) return new ReleaseError(code, `${subject}: ${error.message}`, { cause: error });
  }
  return error;
}
