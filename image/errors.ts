export type ImageErrorCode =
  | 'base-unusable'
  | 'build-failed'
  | 'version-mismatch'
  | 'patch-failed'
  | 'payload-invalid'
  | 'release-exists'
  | 'release-unknown'
  | 'repository-busy'
  | 'repository-damaged'
  | 'server-keys-invalid'
  | 'server-keys-changed';

/** Why a bundle could not be made, and what whoever builds can do about it. */
export class ImageError extends Error {
  readonly code: ImageErrorCode;
  readonly next: string;
  constructor(code: ImageErrorCode, message: string, next: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ImageError';
    this.code = code;
    this.next = next;
  }
}
