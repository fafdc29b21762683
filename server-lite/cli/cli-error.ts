export type CliErrorCode =
  | 'not-configured'
  | 'server-unreachable'
  | 'answer-not-understood'
  | 'file-unreadable'
  | 'demo-failed'
  | 'file-not-written'
  | 'token-elsewhere'
  | 'token-missing'
  | 'token-unusable'
  | 'http-not-private'
  | 'config-not-yours'
  | 'config-open-to-others'
  | 'token-file-not-yours'
  | 'token-file-open-to-others';

/** What the command line could not do, and what to do next. The server's refusals keep their own codes. */
export class CliError extends Error {
  readonly code: CliErrorCode | string;
  readonly next: string | undefined;
  constructor(code: CliErrorCode | string, message: string, next?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.next = next;
  }
}
