import { join } from 'node:path';
import { execa } from 'execa';
import { exitFailed } from '../../../protocol/exit-status.ts';
import { inLines, printable } from '../../../protocol/printable.ts';
import { checkoutRoot } from '../../house/checkout.ts';
import { changedFiles, sourcesAmong } from '../changed.ts';

/**
 * `npm run test:near`: the tests that import what has changed since the last commit, however far one follows. What a test
 * starts as a process it does not import: only `npm test` runs all.
 */
const sources = sourcesAmong(await changedFiles(checkoutRoot));
if (sources.length === 0) {
  process.stdout.write(printable('No source has changed since the last commit: there is nothing to test.\n'));
} else {
  process.stdout.write(printable(`${inLines(['Tests near:', ...sources])}\n`));
  const vitest = join(checkoutRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'related', '--run', ...sources, ...process.argv.slice(2)];
  const { exitCode } = await execa(process.execPath, args, { cwd: checkoutRoot, stdio: 'inherit', reject: false });
  process.exitCode = exitCode ?? exitFailed;
}
