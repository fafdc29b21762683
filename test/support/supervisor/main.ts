import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { closeAllBut } from './sandbox.ts';
import { Supervisor, supervisorConfigShape } from './supervisor.ts';

/** `node main.ts --config FILE`: one appliance's processes, until SIGTERM. Prints `started` when all are under way. */
const { values } = parseArgs({ options: { config: { type: 'string' } } });
if (values.config === undefined) throw new Error('--config FILE is needed');
const config = supervisorConfigShape.parse(JSON.parse(readFileSync(values.config, 'utf8')));
if (config.sandbox !== null) await closeAllBut(config.sandbox.writable, config.sandbox.closed);
const supervisor = new Supervisor(config);

let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  supervisor.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
};
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
// Started by a story that was killed: nobody would ever stop us.
process.on('disconnect', stop);

await supervisor.start();
process.stdout.write('started\n');
