export type HttpErrorCode =
  | 'unreachable'
  | 'stalled'
  | 'timed-out'
  | 'truncated'
  | 'too-large'
  | 'redirect-refused'
  | 'encoded';

export class HttpError extends Error {
  readonly code: HttpErrorCode;
  constructor(code: HttpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HttpError';
    this.code = code;
  }
}
