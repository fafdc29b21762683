export type CliErrorCode =
  | 'not-configured'
  | 'server-unreachable'
  | 'answer-not-understood'
  | 'file-unreadable'
  | 'demo-failed';

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
