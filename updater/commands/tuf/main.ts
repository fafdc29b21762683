import { printable } from '../../../protocol/printable.ts';
import { runTuf } from './command.ts';

/** `npm run tuf`: one call of the updater's TUF client, as the public conformance suite calls it. */
const { status, output, complaint } = await runTuf(process.argv.slice(2));
process.stdout.write(printable(output));
process.stderr.write(printable(complaint));
process.exitCode = status;
