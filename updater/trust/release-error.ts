import { TrustError, type TrustErrorCode } from '../../protocol/trust/trust-error.ts';
import { HttpError, type HttpErrorCode } from '../effects/http-error.ts';
import { trustTexts } from '../words/texts.ts';

type OwnCode =
  | 'bad-bundle'
  | 'bad-chunk'
  | 'bad-manifest'
  | 'chunk-missing'
  | 'device-unusable'
  | 'disk'
  | 'floor'
  | 'floor-step'
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
   * True: the same release may install later without a person's help (network, a copy damaged on the way, space).
   * False: this release is not for this appliance, or a person must act.
   */
  readonly temporary: boolean;
  readonly next: string;
}

const later = (next: string): Consequence => ({ temporary: true, next });
const final = (next: string): Consequence => ({ temporary: false, next });
const network = later(trustTexts.network);
const copyOfFile = trustTexts.fileNotWhole;
const copy = later(trustTexts.fetchAgain);
// An attacker on the network path can cause these: they must not count against the release.
const signing = later(trustTexts.signing);

const consequences: Readonly<Record<ReleaseErrorCode, Consequence>> = {
  unreachable: network,
  stalled: network,
  'timed-out': network,
  truncated: network,
  'too-large': network,
  'redirect-refused': later(trustTexts.redirectRefused),
  encoded: later(trustTexts.encoded),
  'http-status': network,
  'range-ignored': later(trustTexts.rangeIgnored),
  'bad-bundle': copy,
  'bad-chunk': copy,
  'not-a-bundle': copy,
  'wrong-manifest': copy,
  'chunk-missing': later(trustTexts.chunkMissing),
  'bad-manifest': final(trustTexts.buildAgain),
  'version-mismatch': final(trustTexts.buildAgain),
  'device-unusable': final(trustTexts.deviceUnusable),
  disk: later(trustTexts.disk),
  'no-space': later(trustTexts.noSpace),
  'read-only': later(trustTexts.readOnly),
  'slot-damaged': later(trustTexts.slotDamaged),
  'no-file': final(trustTexts.noFile),
  floor: final(trustTexts.floor),
  'floor-step': final(trustTexts.floorStep),
  incompatible: final(trustTexts.incompatible),
  quarantined: final(trustTexts.quarantined),
  revoked: final(trustTexts.chooseListed),
  'root-not-pinned': final(trustTexts.otherClaim),
  'tuf-too-large': signing,
  'tuf-malformed': copy,
  'tuf-threshold': signing,
  'tuf-version': signing,
  'tuf-expired': later(trustTexts.expired),
  'tuf-mismatch': copy,
  'tuf-incomplete': network,
  'tuf-target-unknown': final(trustTexts.chooseListed),
  'tuf-target-mismatch': copy,
};

/** Why a release cannot be installed: what happened (message) and what to do next. */
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

/** A fault of a file that somebody brought is never a fault of the network or the server. */
export function asFileError(error: unknown, path: string): unknown {
  const known = asReleaseError(error, path);
  if (!(known instanceof ReleaseError) || known.next !== network.next) return known;
  return new ReleaseError(known.code, known.message, { cause: known, next: copyOfFile });
}

const diskCodes: Readonly<Record<string, OwnCode>> = {
  EROFS: 'read-only',
  EACCES: 'read-only',
  EPERM: 'read-only',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EIO: 'disk',
};

/** An operational failure below, as a {@link ReleaseError}; anything else is returned unchanged, to be rethrown. */
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
