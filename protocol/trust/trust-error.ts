export type TrustErrorCode =
  | 'tuf-too-large'
  | 'tuf-malformed'
  | 'tuf-threshold'
  | 'tuf-version'
  | 'tuf-expired'
  | 'tuf-mismatch'
  | 'tuf-incomplete'
  | 'tuf-target-unknown'
  | 'tuf-target-mismatch';

/** Why a piece of metadata, or a file that it names, is not trusted. */
export class TrustError extends Error {
  readonly code: TrustErrorCode;
  constructor(code: TrustErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TrustError';
    this.code = code;
  }
}
