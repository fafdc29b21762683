import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout } from '../support/world/checkout.ts';
import { until } from '../support/world/wait.ts';
import { Machine } from './machine.ts';
import { eachSecond } from './site.ts';

/** The shipped timers, with what they start, on a machine where what that needs fails at first. */
const dir = mkdtempSync(join(tmpdir(), 'hf-timers-'));
let machine: Machine;
const units = join(checkout, 'image', 'system', 'units');
const triesWithinMs = 30_000;
const timers = ['holdfast-updater', 'holdfast-overdue'] as const;
/** The same timer without the trigger that needs no earlier run. */
const onlyAfterARun = 'only-after-a-run';

function lay(name: string, text: string): void {
  const home = join(machine.root, 'etc', 'systemd', 'system');
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, name), text);
}

const shipped = (name: string) => readFileSync(join(units, name), 'utf8');
const alone = '[Unit]\nConditionPathExists=\n';

beforeAll(async () => {
  machine = await Machine.install(dir, 'timers');
  mkdirSync(machine.layout.root, { recursive: true });
  const needed = '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/test -e /var/lib/holdfast/ready\n';
  lay('holdfast-run.service', needed);
  const program = '[Service]\nExecCondition=\nExecStartPre=\nExecStart=\nExecStart=/bin/true\nExecStopPost=\n';
  for (const name of timers) {
    lay(`${name}.service`, shipped(`${name}.service`));
    machine.dropIn(`${name}.service`, `${alone}${program}`);
    lay(`${name}.timer`, shipped(`${name}.timer`));
    machine.dropIn(`${name}.timer`, `${alone}${eachSecond}`);
  }
  lay(`${onlyAfterARun}.timer`, shipped('holdfast-updater.timer').replace(/^OnActiveSec=.*\n/m, ''));
  lay(`${onlyAfterARun}.service`, `[Unit]\nRequires=holdfast-run.service\nAfter=holdfast-run.service\n${program}`);
  machine.dropIn(`${onlyAfterARun}.timer`, `${alone}[Timer]\nOnUnitInactiveSec=\nOnUnitInactiveSec=1\n`);
  await machine.boot();
}, 300_000);

afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const failures = async (name: string) => {
  const lines = await machine.command('journalctl', '--no-pager', '--quiet', `--unit=${name}.service`);
  return lines.split("start failed with result 'dependency'").length - 1;
};
/** When its program was started last, by the clock of the boot; 0: never. */
const startedAt = async (name: string) =>
  Number(await machine.property(`${name}.service`, 'ExecMainStartTimestampMonotonic'));

describe('where a start fails on what it needs', () => {
  it('each shipped timer tries again, and goes on once it is there', async () => {
    for (const name of timers) await machine.command('systemctl', 'start', `${name}.timer`);
    for (const name of timers) {
      await until(`${name} has failed three times`, triesWithinMs, async () => (await failures(name)) >= 3 || null);
      expect(await startedAt(name)).toBe(0);
    }
    await machine.command('touch', '/var/lib/holdfast/ready');
    for (const name of timers) {
      const first = await until(`${name} runs`, triesWithinMs, async () => (await startedAt(name)) || null);
      await until(`${name} runs again`, triesWithinMs, async () => (await startedAt(name)) > first || null);
    }
  });

  it('a timer that counts from its last run alone would never begin', async () => {
    await machine.command('systemctl', 'start', `${onlyAfterARun}.timer`);
    await until('the timer is over', triesWithinMs, async () =>
      (await machine.property(`${onlyAfterARun}.timer`, 'SubState')) === 'elapsed' ? true : null,
    );
    expect(await startedAt(onlyAfterARun)).toBe(0);
  });
});
