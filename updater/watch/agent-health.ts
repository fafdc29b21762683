import { connect } from 'node:net';
import { basename } from 'node:path';
import { type HealthAnswer, healthAnswerShape, healthBytesMax, healthTimeoutMs } from '../../protocol/health.ts';
import type { Appliance } from '../appliance/appliance.ts';
import type { HeldSocket } from '../effects/files.ts';
import { withDirectory } from '../effects/held-directory.ts';
import type { Settings } from '../identity/settings.ts';

export type HealthReading =
  | { readonly answer: HealthAnswer }
  | { readonly answer: null; readonly why: 'no-socket' | 'timeout' | 'too-large' | 'malformed' };

/** Asks the agent once. A program that listens there can waste at most 2 s and 64 KiB. */
export function readHealth(socketPath: string, timeoutMs = healthTimeoutMs): Promise<HealthReading> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const parts: Buffer[] = [];
    let size = 0;
    const settle = (reading: HealthReading) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reading);
    };
    // One deadline for the whole answer: one byte per second must not keep the judge waiting.
    const timer = setTimeout(() => settle({ answer: null, why: 'timeout' }), timeoutMs);
    socket.on('error', () => settle({ answer: null, why: 'no-socket' }));
    socket.on('data', (part: Buffer) => {
      size += part.length;
      if (size > healthBytesMax) settle({ answer: null, why: 'too-large' });
      else parts.push(part);
    });
    socket.on('end', () => settle(parse(Buffer.concat(parts))));
  });
}

type AgentPlace = Pick<Appliance, 'files' | 'layout'> & { readonly settings: Pick<Settings, 'agentUser'> };

/**
 * Asks the program that listens on the agent's socket: a socket in the agent's own directory, never one that a link
 * there leads to. Any fault of that directory means that the agent does not answer.
 */
export async function readAgentHealth(place: AgentPlace, timeoutMs = healthTimeoutMs): Promise<HealthReading> {
  const socket = agentSocket(place);
  if (socket === null) return { answer: null, why: 'no-socket' };
  try {
    return await readHealth(socket.path, timeoutMs);
  } finally {
    socket.close();
  }
}

function agentSocket({ files, layout, settings }: AgentPlace): HeldSocket | null {
  try {
    return withDirectory(files, layout.agentRun, settings.agentUser, (corner) =>
      files.openSocket(corner.at(basename(layout.agentSocket)), layout.agentSocket),
    );
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

/**
 * More answers than any other program causes between two looks of the judge, which publishes the status in between;
 * each with its own timeout.
 */
const inARow = { answers: 4, timeoutMs: 500 } as const;

export interface Counting {
  readonly reading: HealthReading;
  /** How far its counter moved during several answers in a row, if it moved with every answer; else 0. */
  readonly movedByAsking: number;
}

/**
 * Asks once and, after an answer, several times more without a pause. Work does not move with every answer that is
 * given within milliseconds; a counter that the answer itself moves does. (From outside, a counter moved by a clock
 * cannot be told from work.)
 */
export async function readCounting(place: AgentPlace): Promise<Counting> {
  const reading = await readAgentHealth(place);
  if (reading.answer === null) return { reading, movedByAsking: 0 };
  let last = reading.answer.progress;
  for (let i = 0; i < inARow.answers; i += 1) {
    const { answer } = await readAgentHealth(place, inARow.timeoutMs);
    if (answer === null || answer.nonce !== reading.answer.nonce || answer.progress <= last)
      return { reading, movedByAsking: 0 };
    last = answer.progress;
  }
  return { reading, movedByAsking: last - reading.answer.progress };
}

function parse(bytes: Buffer): HealthReading {
  try {
    const parsed = healthAnswerShape.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? { answer: parsed.data } : { answer: null, why: 'malformed' };
  } catch (error) {
    if (error instanceof SyntaxError) return { answer: null, why: 'malformed' };
    throw error;
  }
}
