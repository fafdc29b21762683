#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { layoutOf } from '../protocol/layout.ts';
import { printable } from '../protocol/printable.ts';
import { runAgent } from './agent.ts';
import { systemClock } from './effects/clock.ts';
import type { Effects } from './effects/effects.ts';
import { systemFiles } from './effects/files.ts';
import { gotHttp } from './effects/http.ts';
import { openLog } from './effects/log.ts';
import { memorySensor } from './effects/sensor.ts';
import { AgentError } from './errors.ts';
import { readVersion } from './release.ts';
import { readStart } from './start.ts';
import { agentTexts } from './texts.ts';

/** sysexits(3) EX_CONFIG: with its current configuration it cannot start; a restart alone will not help. */
const exitConfig = 78;
/** A stop that takes longer is forced; the supervisor waits 5 s. */
const stopMsMax = 4_500;

const { values } = parseArgs({
  options: {
    root: { type: 'string', default: '/var/lib/holdfast' },
    version: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const version = await readVersion(systemFiles, import.meta.dirname);
  if (values.version) {
    process.stdout.write(printable(`${version}\n`));
    return 0;
  }
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      stopping.abort();
      setTimeout(() => process.exit(1), stopMsMax).unref();
    });
  }
  const layout = layoutOf(values.root);
  const { log, recent, setLevel, hide } = openLog(process.stdout, systemClock);
  const boot = (await systemFiles.readText('/proc/sys/kernel/random/boot_id', 4_096))?.trim() || 'unknown';
  const effects: Effects = {
    clock: systemClock,
    files: systemFiles,
    http: gotHttp,
    sensor: memorySensor(),
    log,
    recentLog: recent,
    hideInLog: hide,
    setLogLevel: setLevel,
    random: Math.random,
    boot,
  };
  const start = await readStart(systemFiles, layout);
  await runAgent({ effects, layout, start, version, program: import.meta.dirname }, stopping.signal);
  return 0;
}

try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof AgentError)) throw error;
  process.stderr.write(printable(agentTexts.notStarted(error.message, error.code, error.next)));
  process.exit(exitConfig);
}
