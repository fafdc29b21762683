/** Why setup stopped: what happened, and what a person does next. */
export class SetUpError extends Error {
  readonly code:
    | 'already-claimed'
    | 'enrol-refused'
    | 'server-not-pinned'
    | 'server-not-reached'
    | 'proxy-invalid'
    | 'ca-invalid'
    | 'claim-on-command-line'
    | 'claim-missing'
    | 'proxy-on-command-line'
    | 'secret-open-to-others'
    | 'secret-unreadable'
    | 'factory-missing'
    | 'users-missing'
    | 'key-not-kept';
  readonly next: string;
  constructor(code: SetUpError['code'], message: string, next: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.next = next;
  }
}
