/** Why setup stopped: what happened, and what a person does next. */
export class SetUpError extends Error {
  readonly code:
    | 'already-claimed'
    | 'enrol-refused'
    | 'server-not-pinned'
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
