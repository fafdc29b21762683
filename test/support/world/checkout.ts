import { resolve } from 'node:path';

/** The root of the source tree. */
export const checkout = resolve(import.meta.dirname, '..', '..', '..');
export const nodeBinary = process.execPath;
