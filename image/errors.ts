export type ImageErrorCode =
  | 'base-unusable'
  | 'build-failed'
  | 'bundle-damaged'
  | 'bundle-untrusted'
  | 'change-outdated'
  | 'change-unreadable'
  | 'change-waiting'
  | 'key-missing'
  | 'key-unreadable'
  | 'key-unknown'
  | 'keys-exist'
  | 'not-confirmed'
  | 'passphrase-unusable'
  | 'passphrase-wrong'
  | 'version-mismatch'
  | 'patch-failed'
  | 'payload-invalid'
  | 'release-exists'
  | 'release-unknown'
  | 'repository-busy'
  | 'repository-damaged'
  | 'repository-empty'
  | 'rotation-invalid'
  | 'server-keys-invalid'
  | 'server-keys-changed'
  | 'signatures-missing'
  | 'sources-invalid'
  | 'states-missing'
  | 'trial-start-failed';

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
