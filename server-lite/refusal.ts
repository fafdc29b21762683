import type { Problem } from '../protocol/check-in.ts';

/** Every code that the server refuses with; the status belongs to the code, so that no two places disagree. */
const statuses = {
  'already-enrolled': 409,
  'appliance-ambiguous': 409,
  'appliance-retired': 410,
  'appliance-unknown': 404,
  'assignment-unknown': 404,
  'bundle-malformed': 422,
  'bundle-too-large': 413,
  'bundle-untrusted': 422,
  'check-in-malformed': 400,
  'chunk-corrupt': 422,
  'claim-expired': 403,
  'claim-unknown': 403,
  'claim-used': 403,
  'csrf-missing': 403,
  'enrol-malformed': 400,
  'fleet-empty': 409,
  'host-not-served': 421,
  'key-missing': 401,
  'key-revoked': 401,
  'key-unknown': 401,
  'login-delayed': 429,
  'manifest-mismatch': 422,
  'name-taken': 409,
  'no-root-yet': 409,
  'not-found': 404,
  'order-kind-needs-operator-key': 403,
  'order-kind-unknown': 422,
  'order-unknown': 404,
  'orders-full': 409,
  'origin-foreign': 403,
  'range-not-satisfiable': 416,
  'release-changed': 409,
  'release-unknown': 404,
  'release-withdrawn': 409,
  'request-malformed': 400,
  'request-too-large': 413,
  'rollout-unknown': 404,
  'server-error': 500,
  'signature-wrong': 401,
  'token-needed': 401,
  'token-wrong': 401,
  'vouch-not-trusted': 403,
} as const;

export type RefusalCode = keyof typeof statuses;

/** What the server answers instead of doing what it was asked: a code, what happened, and what to do next. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly next: string | undefined;
  constructor(code: RefusalCode, message: string, next?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.next = next;
  }
  get status(): number {
    return statuses[this.code];
  }
  problem(): Problem {
    return {
      code: this.code,
      message: this.message.slice(0, 600),
      ...(this.next === undefined ? {} : { next: this.next }),
    };
  }
}
