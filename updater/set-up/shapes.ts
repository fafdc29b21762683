import { config } from 'zod';

/**
 * Makes zod read values directly, without compiling code for each shape: this process reads nearly all shapes only once
 * or twice, and compiling takes longer than that. Called before any shape is made.
 */
export function readShapesPlainly(): void {
  config({ jitless: true });
}
