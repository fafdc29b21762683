import type { Exit } from '../../protocol/exit.ts';

/** What the machine's process control knows about the agent; only `lastOutput` was written by the agent. */
export interface AgentFacts {
  /** `failed`: it crashed more often than its burst allows, and only the updater starts it again. */
  readonly state: 'active' | 'starting' | 'waiting' | 'failed' | 'inactive';
  readonly pid: number | null;
  /** Ends that were not ordered, since process control itself started. */
  readonly crashes: number;
  readonly lastExit: Exit | null;
  /** The last 16 KiB that the last ended process wrote. */
  readonly lastOutput: string;
}

/** systemd in the field, a local supervisor in development. Neither knows what an update is. */
export interface ProcessControl {
  readonly isolation: 'users' | 'none' | 'systemd';
  agent(): Promise<AgentFacts>;
  /**
   * Starts the agent through launch, and forgets the crashes that counted towards its burst. Does nothing when it runs.
   */
  startAgent(): Promise<void>;
  /** @throws ProcessControlError `agent-not-gone` when anything of the agent still exists after its time to stop */
  stopAgent(): Promise<void>;
  /** The last 16 KiB that the previous run of an updater wrote: evidence only; nothing depends on it. */
  updaterOutput(): Promise<string>;
  /** Asks for one updater run soon. */
  requestRun(): Promise<void>;
}

export class ProcessControlError extends Error {
  readonly code: 'agent-not-gone' | 'process-control-unreachable' | 'process-control-refused';
  constructor(code: ProcessControlError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
