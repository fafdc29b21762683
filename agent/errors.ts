export type AgentErrorCode =
  | 'start-missing'
  | 'start-invalid'
  | 'release-invalid'
  | 'state-too-new'
  | 'state-unreadable'
  | 'socket-path-too-long'
  | 'file-too-large'
  | 'not-a-file';

/** What keeps the agent from starting: what happened, and what a person does next. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;
  readonly next: string;
  constructor(code: AgentErrorCode, message: string, next: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.next = next;
  }
}

/** The `code` of a Node system error, e.g. ENOENT; null for anything else. */
export function systemCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
