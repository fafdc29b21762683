import { pino } from 'pino';
import { type LogLevel, logLevels } from '../../protocol/agent-settings.ts';
import { printable } from '../../protocol/printable.ts';
import { agentTexts } from '../texts.ts';
import type { Clock, Log } from './effects.ts';
import { RateBound } from './rate-bound.ts';

/** Lines that a `collect-logs` order can return. */
const recentLinesMax = 200;

/** Fields whose value nobody may read in a log, wherever they come from. */
const secretFields = ['password', 'token', 'secret', 'privateKey', 'authorization', 'cookie', 'pin', 'claim'];

/** Texts that are looked for, and the length of one that can be told from a word. */
const hiddenMax = 100;
const hiddenCharsMin = 6;

/** A name and a password within an address. */
const credentialsInUrl = /\/\/[^/\s"@]+@/g;

export interface OpenLog {
  readonly log: Log;
  /** The last lines, oldest first. */
  readonly recent: () => readonly string[];
  /** A text that is replaced from now on; a short one is no secret. */
  hide(text: string): void;
  /** From now on, until it is set again. */
  setLevel(level: LogLevel): void;
}

/**
 * Writes each message as one line of JSON to standard output, and keeps the last lines in memory. A message that comes
 * again and again is written a bounded number of times a minute, and then with the count of what was left out.
 */
export function openLog(output: NodeJS.WritableStream, clock: Clock): OpenLog {
  const lines: string[] = [];
  const hidden = new Set<string>();
  // A log that has no reader (EPIPE) must not stop the appliance's work.
  output.on('error', () => undefined);
  const logger = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    {
      write(written: string) {
        const line = printable(withoutHidden(written.replaceAll(credentialsInUrl, '//[redacted]@'), hidden));
        lines.push(line.trimEnd());
        if (lines.length > recentLinesMax) lines.shift();
        output.write(line);
      },
    },
  );
  const bound = new RateBound(() => clock.monoMs());
  const bounded = (level: LogLevel) => (facts: object, message: string) => {
    if (!logger.isLevelEnabled(level)) return;
    for (const { leftOut, of } of bound.over()) logger.warn({ leftOut, of }, agentTexts.linesLeftOut);
    if (bound.takes(keyOf(facts, message), message)) logger[level](facts, message);
  };
  return {
    log: { info: bounded('info'), warn: bounded('warn'), error: bounded('error') },
    recent: () => lines,
    hide: (text) => {
      if (text.length >= hiddenCharsMin && hidden.size < hiddenMax) hidden.add(text);
    },
    setLevel: (level) => {
      logger.level = logLevels.includes(level) ? level : 'info';
    },
  };
}

function withoutHidden(line: string, hidden: ReadonlySet<string>): string {
  let text = line;
  // As it stands within JSON.
  for (const secret of hidden) text = text.replaceAll(JSON.stringify(secret).slice(1, -1), '[redacted]');
  return text;
}

/** What one duty says often leaves no line of another one out. */
function keyOf(facts: object, message: string): string {
  const who = ['duty', 'check', 'order'].map((name) => (name in facts ? String(Reflect.get(facts, name)) : ''));
  return `${message} ${who.join(' ')}`;
}
