import { execa } from 'execa';
import { exitDone, exitFailed } from '../../../protocol/exit-status.ts';
import { printable } from '../../../protocol/printable.ts';
import { checkoutRoot, readPackage } from '../../house/checkout.ts';
import { tierScripts } from '../tiers.ts';

/** `npm run test:all`: every tier, one after the other, whatever the one before came to; 0 only where all passed. */
const failed: string[] = [];
for (const name of tierScripts(readPackage().scripts)) {
  process.stdout.write(printable(`== npm run ${name}\n`));
  const { exitCode } = await execa('npm', ['run', name], { cwd: checkoutRoot, stdio: 'inherit', reject: false });
  if (exitCode !== 0) failed.push(name);
}
process.stdout.write(printable(failed.length === 0 ? 'Every tier passed.\n' : `Failed: ${failed.join(', ')}.\n`));
process.exitCode = failed.length === 0 ? exitDone : exitFailed;
