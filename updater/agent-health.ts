import { connect } from 'node:net';
import { type HealthAnswer, healthAnswerShape, healthBytesMax, healthTimeoutMs } from '../protocol/health.ts';

export type HealthReading =
  | { readonly answer: HealthAnswer }
  | { readonly answer: null; readonly why: 'no-socket' | 'timeout' | 'too-large' | 'malformed' };

/** Asks the agent once. Whatever listens there can waste 2 s and 64 KiB, and nothing more. */
export function readHealth(socketPath: string): Promise<HealthReading> {
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
    const timer = setTimeout(() => settle({ answer: null, why: 'timeout' }), healthTimeoutMs);
    socket.on('error', () => settle({ answer: null, why: 'no-socket' }));
    socket.on('data', (part: Buffer) => {
      size += part.length;
      if (size > healthBytesMax) settle({ answer: null, why: 'too-large' });
      else parts.push(part);
    });
    socket.on('end', () => settle(parse(Buffer.concat(parts))));
  });
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
