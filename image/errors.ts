export type ImageErrorCode =
  | 'clock-ahead'
  | 'clock-behind'
  | 'appliance-runs'
  | 'base-unusable'
  | 'build-failed'
  | 'bundle-damaged'
  | 'bundle-untrusted'
  | 'file-unreadable'
  | 'change-outdated'
  | 'change-unreadable'
  | 'change-waiting'
  | 'claim-missing'
  | 'directory-copied'
  | 'directory-unusable'
  | 'factory-missing'
  | 'key-missing'
  | 'key-unreadable'
  | 'key-unknown'
  | 'keys-exist'
  | 'maker-invalid'
  | 'not-confirmed'
  | 'passphrase-unusable'
  | 'passphrase-wrong'
  | 'version-mismatch'
  | 'patch-failed'
  | 'payload-invalid'
  | 'port-taken'
  | 'release-exists'
  | 'release-invalid'
  | 'release-unknown'
  | 'repository-busy'
  | 'repository-damaged'
  | 'repository-empty'
  | 'root-unusable'
  | 'rotation-invalid'
  | 'disk-full'
  | 'runtime-missing'
  | 'runtime-unusable'
  | 'security-version-step'
  | 'server-keys-invalid'
  | 'server-keys-unreadable'
  | 'server-keys-changed'
  | 'server-invalid'
  | 'set-up-failed'
  | 'signatures-missing'
  | 'sources-invalid'
  | 'states-missing'
  | 'trial-start-failed';

/** Why a bundle could not be made, and what the person who builds it can do about it. */
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
