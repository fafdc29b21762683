import { createInterface } from 'node:readline/promises';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { printable } from '../protocol/printable.ts';
import { ImageError } from './errors.ts';
import { commandTexts } from './texts.ts';

/** For a program one JSON value a line, for a list each of its values; for a person a text. */
export type Print = (json: boolean, value: object, text: string) => void;

export const print: Print = (json, value, text) => {
  const lines = json ? (Array.isArray(value) ? value : [value]).map((one) => JSON.stringify(one)) : [text];
  for (const line of lines) process.stdout.write(printable(`${line}\n`));
};

/** @throws ImageError `not-confirmed`, also if nobody can answer */
export async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new ImageError('not-confirmed', commandTexts.noTerminal, commandTexts.noTerminalNext);
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if ((await lines.question(printable(question))).trim().toLowerCase() === 'yes') return;
  } finally {
    lines.close();
  }
  throw new ImageError('not-confirmed', commandTexts.notConfirmed, commandTexts.notConfirmedNext);
}

/** For an option that may be repeated. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

export function wholeNumber(text: string): number {
  const parsed = z.coerce.number().int().min(0).safeParse(text);
  if (text === '' || !parsed.success) throw new InvalidArgumentError(commandTexts.notWhole);
  return parsed.data;
}
