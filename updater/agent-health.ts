import { connect } from 'node:net';
import { type HealthAnswer, healthAnswerShape, healthBytesMax, healthTimeoutMs } from '../protocol/health.ts';

export type HealthReading =
  | { readonly answer: HealthAnswer }
  | { readonly answer: null; readonly why: 'no-socket' | 'timeout' | 'too-large' | 'malformed' };

/** Asks the agent once. Whatever listens there can waste 2 s and 64 KiB, and nothing more. */
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
    // One deadline for the whole answer: a byte a second must not keep the judge waiting.
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

/** More answers than anybody takes between two looks of the judge, which publishes the status in between; each in its time. */
const inARow = { answers: 4, timeoutMs: 500 } as const;

export interface Counting {
  readonly reading: HealthReading;
  /** By how much its counter moved while it was asked several times in a row, when it moved with every answer; else 0. */
  readonly movedByAsking: number;
}

/**
 * Asks once, and where an answer came some times more without a pause. Work does not move with every answer that is given
 * within milliseconds; a counter that is moved inside the answer does. (One that is moved by a clock can not be told from
 * work from outside.)
 */
export async function readCounting(socketPath: string): Promise<Counting> {
  const reading = await readHealth(socketPath);
  if (reading.answer === null) return { reading, movedByAsking: 0 };
  let last = reading.answer.progress;
  for (let i = 0; i < inARow.answers; i += 1) {
    const { answer } = await readHealth(socketPath, inARow.timeoutMs);
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
