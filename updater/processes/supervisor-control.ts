import { connect } from 'node:net';
import { z } from 'zod';
import { exitShape } from '../../protocol/exit.ts';
import { processesTexts } from '../words/texts.ts';
import { type AgentFacts, type ProcessControl, ProcessControlError } from './process-control.ts';

/** Stopping takes the agent's 5 s, then SIGKILL, then a check that it is gone. */
const answerTimeoutMs = 15_000;
const answerBytesMax = 128 * 1024;

const factsShape = z.object({
  state: z.enum(['active', 'starting', 'waiting', 'failed', 'inactive']),
  pid: z.int().nullable(),
  crashes: z.int().min(0),
  lastExit: exitShape.nullable(),
  lastOutput: z.string(),
});
const answerShape = z.object({
  ok: z.boolean(),
  code: z.string().optional(),
  message: z.string().optional(),
  agent: factsShape.optional(),
  updaterOutput: z.string().optional(),
});
type Answer = z.infer<typeof answerShape>;

export type SupervisorOperation = 'agent' | 'start-agent' | 'stop-agent' | 'run-updater' | 'updater-output';

/** Sends one JSON line to the development supervisor's socket and reads one back. */
function ask(socketPath: string, op: SupervisorOperation): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const parts: Buffer[] = [];
    let size = 0;
    const fail = (cause?: Error) => {
      socket.destroy();
      reject(
        new ProcessControlError('process-control-unreachable', processesTexts.noAnswer(op, socketPath), { cause }),
      );
    };
    socket.setTimeout(answerTimeoutMs, () => fail());
    socket.on('error', fail);
    socket.on('data', (part: Buffer) => {
      size += part.length;
      if (size > answerBytesMax) fail();
      else parts.push(part);
    });
    socket.on('end', () => {
      try {
        resolve(answerShape.parse(JSON.parse(Buffer.concat(parts).toString('utf8'))));
      } catch (cause) {
        fail(cause instanceof Error ? cause : undefined);
      }
    });
    socket.end(`${JSON.stringify({ op })}\n`);
  });
}

export function supervisorControl(socketPath: string, isolation: 'users' | 'none'): ProcessControl {
  const order = async (op: SupervisorOperation): Promise<Answer> => {
    const answer = await ask(socketPath, op);
    if (answer.ok) return answer;
    const code = answer.code === 'agent-not-gone' ? 'agent-not-gone' : 'process-control-refused';
    throw new ProcessControlError(code, answer.message ?? processesTexts.refused(op));
  };
  return {
    isolation,
    async agent(): Promise<AgentFacts> {
      const { agent } = await order('agent');
      if (agent === undefined) throw new ProcessControlError('process-control-refused', processesTexts.noAgent);
      return agent;
    },
    async startAgent() {
      await order('start-agent');
    },
    async stopAgent() {
      await order('stop-agent');
    },
    async updaterOutput() {
      return (await order('updater-output')).updaterOutput ?? '';
    },
    async requestRun() {
      await order('run-updater');
    },
  };
}
