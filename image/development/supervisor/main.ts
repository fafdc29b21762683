import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { printable } from '../../../protocol/printable.ts';
import { supervisorTexts } from '../../texts.ts';
import { closeAllBut } from './sandbox.ts';
import { Supervisor, supervisorConfigShape } from './supervisor.ts';

/**
 * `node main.ts --config FILE`: one appliance's processes, until SIGTERM. Prints `started` when all have been started.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new Error(supervisorTexts.configNeeded);
  const config = supervisorConfigShape.parse(JSON.parse(readFileSync(values.config, 'utf8')));
  if (config.sandbox !== null) await closeAllBut(config.sandbox.writable, config.sandbox.closed);
  const supervisor = new Supervisor(config);
  // If the story that started it was killed, nobody else would stop it.
  for (const event of ['SIGTERM', 'SIGINT', 'SIGHUP', 'disconnect'] as const) process.on(event, stopper(supervisor));
  await supervisor.start();
  process.stdout.write(printable('started\n'));
}

function stopper(supervisor: Supervisor): () => void {
  return () => {
    supervisor.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(printable(`${String(error)}\n`));
        process.exit(1);
      },
    );
  };
}

await main();
