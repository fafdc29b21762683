import module from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * What this Node has compiled of the sources is kept with the tools of the checkout, so that a command starts in half the time. Where
 * that directory cannot be written, it starts as slowly as the first time.
 */
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

// Where the environment names a place already, that one stays.
module.enableCompileCache?.(join(root, 'node_modules', '.cache', 'compiled'));
