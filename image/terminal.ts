import { createInterface } from 'node:readline/promises';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { ImageError } from './errors.ts';

/** One JSON line for a program, or a text for a person. */
export type Print = (json: boolean, value: object, text: string) => void;

export const print: Print = (json, value, text) => {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
};

/** @throws ImageError `not-confirmed`, also where nobody can answer */
export async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new ImageError('not-confirmed', 'nobody is there to say yes', 'read it (--dry-run), then give --yes');
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if ((await lines.question(question)).trim().toLowerCase() === 'yes') return;
  } finally {
    lines.close();
  }
  throw new ImageError('not-confirmed', 'you did not say yes', 'nothing was signed');
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

export function wholeNumber(text: string): number {
  const parsed = z.coerce.number().int().min(0).safeParse(text);
  if (text === '' || !parsed.success) throw new InvalidArgumentError('a whole number is needed');
  return parsed.data;
}
