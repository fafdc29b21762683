import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/world/wait.ts';
import type { Machine } from './machine.ts';
import { openPlace, type Probe, refused, secretPlace, suidProgram } from './probes.ts';
import { withProgram } from './units.ts';

const endsWithinMs = 120_000;
/** CLD_EXITED of waitid(2). */
const exited = '1';

export interface Attempt {
  /** A name of its own on this machine. */
  readonly name: string;
  readonly unit: string;
  readonly script: string;
  readonly type?: 'oneshot' | 'exec';
}

/** What a limit must keep a program from, put where it would find it. */
export async function prepareProbes(machine: Machine): Promise<void> {
  const inside = (path: string) => join(machine.root, path);
  for (const place of [openPlace, secretPlace, '/usr/lib/modules', '/srv/probes'])
    mkdirSync(inside(place), { recursive: true });
  for (const path of [`${secretPlace}/x`, '/home/marker', '/usr/lib/modules/marker']) writeFileSync(inside(path), '');
  // The places of a running machine's own mounts, and a part of /proc that a container may not write otherwise.
  const lines = [
    `chmod 0777 ${openPlace}`,
    'chmod 0755 /srv/probes',
    'touch /tmp/marker /dev/marker',
    'mount -o remount,bind,rw /proc/sys',
    `cp /usr/bin/id ${suidProgram}`,
    `chmod 4755 ${suidProgram}`,
  ];
  await machine.command('sh', '-e', '-c', lines.join('\n'));
}

/** The probe of one limit, where the limit names that place. */
export function scriptOf(probe: Probe, value: string): string {
  return probe.script.replaceAll('VALUE', value.split(' ')[0]?.replace(/^-/, '') ?? '');
}

/** A unit with this one limit and nothing else, and the same without it. */
export function aloneAndOpen(probe: Probe, value: string): Attempt[] {
  const user = probe.needsUser ? 'User=daemon\n' : '';
  const unit = (limit: string) => `[Service]\n${user}${probe.beside ?? ''}\n${limit}\n`;
  const script = scriptOf(probe, value);
  return [
    { name: `alone-${probe.directive}`, unit: unit(`${probe.directive}=${value}`), script },
    { name: `open-${probe.directive}`, unit: unit(''), script },
  ];
}

/** Starts every one, and waits for none. */
export async function begin(machine: Machine, attempts: readonly Attempt[]): Promise<void> {
  for (const { name, unit, script, type } of attempts) {
    writeFileSync(join(machine.root, 'srv', 'probes', name), `${script}\n`);
    const whole = withProgram(unit, `/srv/probes/${name}`, type);
    writeFileSync(join(machine.root, 'etc', 'systemd', 'system', `${name}.service`), whole);
  }
  await machine.command('systemctl', 'daemon-reload');
  await machine.command('systemctl', 'start', '--no-block', ...attempts.map(({ name }) => `${name}.service`));
}

function factsOf(block: string): ReadonlyMap<string, string> {
  return new Map(
    block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** @returns `open`, `refused`, another exit status, or systemd's word for how it ended */
function endOf(facts: ReadonlyMap<string, string>): string {
  if (facts.get('ExecMainCode') !== exited) return facts.get('Result') ?? '';
  const status = facts.get('ExecMainStatus') ?? '';
  return { '0': 'open', [String(refused)]: 'refused' }[status] ?? status;
}

/** Starts every one and waits for all ends. @returns how each ended, by its name */
export async function attempt(
  machine: Machine,
  attempts: readonly Attempt[],
): Promise<Readonly<Record<string, string>>> {
  await begin(machine, attempts);
  const units = attempts.map(({ name }) => `${name}.service`);
  const properties = '--property=Id,SubState,Result,ExecMainStatus,ExecMainCode';
  const shown = await until('every probe has ended', endsWithinMs, async () => {
    const text = await machine.command('systemctl', 'show', properties, ...units);
    const ends = text.trim().split('\n\n').map(factsOf);
    return ends.every((end) => ['exited', 'failed'].includes(end.get('SubState') ?? '')) ? ends : null;
  });
  await machine.command('systemctl', 'stop', ...units);
  return Object.fromEntries(shown.map((end) => [end.get('Id')?.replace(/\.service$/, '') ?? '', endOf(end)]));
}
