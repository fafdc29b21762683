import { config } from 'zod';

/**
 * Shapes read values by themselves, without code that is made for each of them: nearly all of them are read once or twice in
 * the life of this process, and making code takes longer than that. Called before any shape is made.
 */
export function readShapesPlainly(): void {
  config({ jitless: true });
}
