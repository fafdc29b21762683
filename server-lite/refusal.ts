import type { Problem } from '../protocol/check-in.ts';
import { cut } from '../protocol/text.ts';
import { requestTexts } from './texts.ts';

/** The bound of the wire. */
const messageMax = 600;

/** Every code that the server refuses with. The status belongs to the code, so that no two places disagree. */
const statuses = {
  'agent-key-not-proven': 403,
  'already-enrolled': 409,
  'appliance-ambiguous': 409,
  'appliance-cloned': 409,
  'appliance-retired': 410,
  'appliance-unknown': 404,
  'assignment-unknown': 404,
  'authority-unknown': 421,
  'bundle-malformed': 422,
  'bundle-too-large': 413,
  'bundle-untrusted': 422,
  'check-in-malformed': 400,
  'chunk-corrupt': 422,
  'claim-expired': 403,
  'claim-for-another': 403,
  'claim-not-proven': 403,
  'claim-unknown': 403,
  'claim-used': 403,
  'clock-behind': 409,
  'clock-in-order': 409,
  'clone-unknown': 404,
  'csrf-missing': 403,
  'enrol-malformed': 400,
  'events-over-quota': 429,
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
  'order-arguments-wrong': 422,
  'order-begun': 409,
  'order-ended': 409,
  'order-kind-needs-operator-key': 403,
  'order-kind-unknown': 422,
  'order-too-large': 413,
  'order-unknown': 404,
  'orders-full': 409,
  'origin-foreign': 403,
  'range-not-satisfiable': 416,
  'release-changed': 409,
  'release-not-startable': 422,
  'release-unknown': 404,
  'release-withdrawn': 409,
  'request-malformed': 400,
  'request-too-large': 413,
  'rollout-ended': 409,
  'rollout-unknown': 404,
  'server-busy': 503,
  'server-disk-full': 503,
  'server-error': 500,
  'signature-wrong': 401,
  'token-needed': 401,
  'token-wrong': 401,
  'vouch-not-trusted': 403,
} as const;

export type RefusalCode = keyof typeof statuses;

/** The server's answer to a request that it refuses: a code, what happened, and what to do next. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly next: string | undefined;
  /** Seconds until the client may ask again; goes out as Retry-After. */
  readonly retryAfterS: number | undefined;
  constructor(
    code: RefusalCode,
    message: string,
    next?: string,
    options?: ErrorOptions & { readonly retryAfterS?: number },
  ) {
    super(message, options);
    this.code = code;
    this.next = next;
    this.retryAfterS = options?.retryAfterS;
  }
  get status(): number {
    return statuses[this.code];
  }
  problem(): Problem {
    return {
      code: this.code,
      message: cut(this.message, messageMax),
      ...(this.next === undefined ? {} : { next: this.next }),
    };
  }
}

/** The refusal of a request that cannot be stored. */
export function diskFullRefusal(cause: unknown): Refusal {
  return new Refusal('server-disk-full', requestTexts.diskFull, requestTexts.diskFullNext, { cause });
}
