import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { systemProblem } from '../../protocol/system-problem.ts';
import { checkout } from '../support/world/checkout.ts';

/** Where `demo break` finds the story that is up, how its server is reached, and whether all of it has been told. */
const noteShape = z.object({ dir: z.string(), command: z.string(), isTold: z.boolean() });
export type StoryNote = z.infer<typeof noteShape>;

export const storyNotePath: string = join(checkout, '.holdfast', 'story.json');

/** null: no story is up. */
export function readStoryNote(path: string): StoryNote | null {
  try {
    return noteShape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError || systemProblem(error) !== null) return null;
    throw error;
  }
}

export function writeStoryNote(path: string, note: StoryNote): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(note));
}

/** Unless another story has begun since. */
export function removeStoryNote(path: string, { dir }: StoryNote): void {
  if (readStoryNote(path)?.dir === dir) rmSync(path);
}
