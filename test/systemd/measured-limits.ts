import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../support/world/wait.ts';
import { type Attempt, attempt, begin } from './confinement.ts';
import type { Machine } from './machine.ts';
import { openPlace, refused } from './probes.ts';
import { withProgram } from './units.ts';

const agent = 'holdfast-agent.service';
const updater = 'holdfast-updater.service';
const page = 'holdfast-page.service';
const hint = 'holdfast-hint.service';
const endsWithinMs = 120_000;
/** capabilities(7). */
const capSysResource = 1n << 24n;
const killed = /^(oom-kill|signal|core-dump)$/;

/** Takes that much memory, and touches all of it. */
const takesMiB = (size: number, then: string) => `exec perl -e '$| = 1; vec(my $x, ${size} << 20, 8) = 1; ${then}'`;

/** Limits of memory, time and words. */
export function measureShares(machineNow: () => Machine, textOf: (unit: string) => string): void {
  it('ends what takes more memory than its unit has (S58)', async () => {
    const script = takesMiB(900, 'exit 0');
    const attempts: Attempt[] = [
      { name: 'memory-agent', unit: textOf(agent), script },
      { name: 'memory-page', unit: textOf(page), script },
      { name: 'memory-open', unit: '[Service]\n', script },
    ];
    const ends = await attempt(machineNow(), attempts);
    expect(ends['memory-agent']).toMatch(killed);
    expect(ends['memory-page']).toMatch(killed);
    expect(ends['memory-open']).toBe('open');
  }, 180_000);

  it('keeps the updater when memory ends, though it has more than the agent (S58)', async () => {
    const machine = machineNow();
    const unweighed = (unit: string) => textOf(unit).replace(/^OOMScoreAdjust=.*$/m, '');
    expect(await survives(machine, 'weighed', textOf(updater), textOf(agent))).toBe(true);
    expect(await survives(machine, 'weighed-page', textOf(updater), textOf(page))).toBe(true);
    expect(await survives(machine, 'unweighed', unweighed(updater), unweighed(agent))).toBe(false);
    // The updater's own word needs CAP_SYS_RESOURCE; systemd says nothing where nobody has it.
    const rights = /^CapBnd:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    const mayLower = (BigInt(`0x${rights}`) & capSysResource) !== 0n;
    expect(await survives(machine, 'alone', textOf(updater), '[Service]\n')).toBe(mayLower);
  }, 300_000);

  it('gives the updater its time beside everybody else (S58)', async () => {
    const machine = machineNow();
    // All in the same seconds: whoever is started first would have them to itself.
    const fromS = Math.floor(Date.now() / 1_000) + 10;
    const spin = `1 while time < ${fromS + 8}; printf("SPUN %d\\n", 1000 * ((times)[0] - $before))`;
    const script = `exec taskset -c 0 perl -e 'select undef, undef, undef, 0.01 while time < ${fromS}; my $before = (times)[0]; ${spin}'`;
    const names = [agent, updater, page, hint];
    const attempts = names.map((unit) => ({
      name: `spin-${unit.replace('.service', '')}`,
      unit: textOf(unit),
      script,
    }));
    await attempt(machine, attempts);
    const spun = await Promise.all(
      attempts.map(async ({ name }) => Number(/SPUN (\d+)/.exec(await machine.journal(`${name}.service`))?.[1])),
    );
    const [ofAgent = Number.NaN, ofUpdater = Number.NaN, ...others] = spun;
    for (const ms of [ofAgent, ...others]) expect(ofUpdater / ms).toBeGreaterThan(3);
  }, 180_000);

  it('lets a program say only so much (S58)', async () => {
    const machine = machineNow();
    const script = 'yes flood | head -n 60000';
    const attempts: Attempt[] = [
      { name: 'says-agent', unit: textOf(agent), script },
      { name: 'says-open', unit: '[Service]\n', script },
    ];
    await attempt(machine, attempts);
    await machine.command('journalctl', '--sync');
    const lines = async (name: string) =>
      Number(
        await machine.command('sh', '-c', `journalctl --quiet --output=cat --unit=${name}.service | grep -c flood`),
      );
    const [ofAgent, ofOpen] = [await lines('says-agent'), await lines('says-open')];
    expect(ofAgent).toBeGreaterThanOrEqual(2_000);
    // Four times the burst where there is no interval for it, and at least what journald itself would take.
    expect(ofAgent).toBeLessThan(ofOpen / 2);
  }, 180_000);
}

/** What is refused or taken away in a way that one probe cannot show. */
export function measureRefusals(machineNow: () => Machine, textOf: (unit: string) => string): void {
  it('does not kill for a call that it refuses (S58)', async () => {
    const script = `exec perl -e 'chroot("/") or exit ${refused}'`;
    const filter = 'SystemCallFilter=@system-service\n';
    const ends = await attempt(machineNow(), [
      { name: 'call-killed', unit: `[Service]\n${filter}`, script },
      { name: 'call-refused', unit: `[Service]\n${filter}SystemCallErrorNumber=EPERM\n`, script },
    ]);
    expect(ends['call-killed']).toMatch(killed);
    expect(ends['call-refused']).toBe('refused');
  }, 120_000);

  it('takes away the memory that outlives its program (S58)', async () => {
    const machine = machineNow();
    const as = (text: string, user: string) => text.replace(/^User=.*$/m, `User=${user}`).replace(/^Group=.*$/m, '');
    const script = 'ipcmk --shmem 4096';
    const ends = await attempt(machine, [
      { name: 'ipc-agent', unit: as(textOf(agent), 'games'), script },
      { name: 'ipc-page', unit: as(textOf(page), 'man'), script },
      { name: 'ipc-open', unit: '[Service]\nUser=news\n', script },
    ]);
    expect(Object.values(ends)).toEqual(['open', 'open', 'open']);
    const left = await machine.command('ipcs', '--shmems');
    expect(left).toContain('news');
    expect(left).not.toMatch(/games|man/);
  }, 120_000);

  it('lets each unit write where it must, and nowhere else (S28, S58)', async () => {
    const home = '/var/lib/holdfast';
    const everywhere = [
      'agent',
      'page',
      'page/uploads',
      'run/agent',
      'run/requests',
      'run/own-requests',
      'run/hint',
      'run',
      'updater',
      'slots/app',
      'run/launched',
    ];
    const outside = ['/usr/lib/holdfast', '/etc', '/srv', '/root', openPlace];
    const writable: Readonly<Record<string, readonly string[]>> = {
      [agent]: ['agent', 'run/agent', 'run/hint'],
      // page/ itself is root's.
      [page]: ['page/uploads', 'run/requests'],
      [updater]: everywhere,
    };
    const attempts = Object.entries(writable).map(([unit, places]) => ({
      name: `writes-${unit.replace('.service', '')}`,
      unit: textOf(unit),
      script: [
        ...everywhere.map((place) => ({ place: `${home}/${place}`, may: places.includes(place) })),
        ...outside.map((place) => ({ place, may: false })),
      ]
        .map(
          ({ place, may }) =>
            `if [ -d ${place} ]; then w=${place}/w$$; else w=${place}; fi; if (: >>$w) 2>/dev/null; then r=true; else r=false; fi; [ -d ${place} ] && rm -f $w; [ $r = ${may} ] || { echo ${place}: $r; exit 1; }`,
        )
        .join('\n'),
    }));
    const ends = await attempt(machineNow(), attempts);
    expect(ends).toEqual(Object.fromEntries(attempts.map(({ name }) => [name, 'open'])));
  }, 120_000);
}

/** Starts and stops, and what this machine cannot show. */
export function measureEnds(machineNow: () => Machine, textOf: (unit: string) => string): void {
  it('ends what hears no signal, with all that it left behind (S58)', () => endings(machineNow(), textOf), 300_000);

  it('refuses no start of what must always start (S58)', async () => {
    const machine = machineNow();
    const restarts = async (name: string, limits: string) => {
      await attempt(machine, [{ name, unit: `[Service]\n`, script: 'exit 0' }]);
      machine.dropIn(`${name}.service`, `[Unit]\n${limits}\n`);
      await machine.command('systemctl', 'daemon-reload');
      const script = `for i in 1 2 3 4 5 6 7 8; do systemctl restart ${name}.service || exit 1; done`;
      return (await machine.try(['sh', '-c', script])).exitCode;
    };
    for (const unit of [updater, page, hint]) expect(textOf(unit)).toMatch(/^StartLimitIntervalSec=0$/m);
    expect(await restarts('always', 'StartLimitIntervalSec=0')).toBe(0);
    expect(await restarts('counted', 'StartLimitIntervalSec=600\nStartLimitBurst=4')).not.toBe(0);
  }, 120_000);

  it('ends a start that hangs (S58)', () => startsHaveEnded(machineNow()), 180_000);

  it('holds for the places in run/ too (S58)', () => placesInRun(machineNow()), 120_000);

  it('is named where this machine cannot make it act', () => {
    // MemorySwapMax: there is no such limit in the hierarchy of one controller, and nothing to limit without swap. Disk: the
    // project quota of the agent's directory is the image's, and needs a kernel that knows the quota format of ext4.
    const hasSwap = readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;
    expect(hasSwap && existsSync('/sys/fs/cgroup/cgroup.controllers'), 'MemorySwapMax can be proven here: do so').toBe(
      false,
    );
  });
}

/** Memory for one of the two only: does what has more of it outlive what takes some now? */
async function survives(machine: Machine, name: string, holder: string, taker: string): Promise<boolean> {
  const slice = `oom${name.replaceAll('-', '')}.slice`;
  writeFileSync(join(machine.root, 'etc', 'systemd', 'system', slice), '[Slice]\nMemoryMax=300M\n');
  const within = (text: string) => text.replace('[Service]', `[Service]\nSlice=${slice}\nOOMPolicy=continue`);
  const held = `held-${name}`;
  await begin(machine, [{ name: held, unit: within(holder), script: takesMiB(180, 'print "held\\n"; sleep 600') }]);
  await until('memory is held', endsWithinMs, async () =>
    (await machine.journal(`${held}.service`)).includes('held') ? true : null,
  );
  const taking = { name: `takes-${name}`, unit: within(taker), script: takesMiB(150, 'exit 0') };
  const ends = await attempt(machine, [taking]);
  const lives = (await machine.property(`${held}.service`, 'SubState')) === 'start';
  await machine.try(['systemctl', 'stop', `${held}.service`]);
  // One of the two had to go.
  expect(killed.test(ends[taking.name] ?? '')).toBe(lives);
  return lives;
}

const hanging = [agent, page, updater].map((unit) => `hangs-${unit}`);

/** A start whose launch hangs, in each unit: begun before everything else, since its limit is the longest. */
export async function beginHanging(machine: Machine, textOf: (unit: string) => string): Promise<void> {
  for (const unit of [agent, page, updater]) {
    const text = withProgram(textOf(unit), '/dev/null', 'exec');
    writeFileSync(
      join(machine.root, 'etc', 'systemd', 'system', `hangs-${unit}`),
      text.replace('[Service]', '[Service]\nExecStartPre=/bin/sleep 86400'),
    );
  }
  await machine.command('systemctl', 'daemon-reload');
  await machine.command('systemctl', 'start', '--no-block', ...hanging);
}

/** Long before the 90 s that systemd itself gives a start. */
async function startsHaveEnded(machine: Machine): Promise<void> {
  for (const unit of hanging) {
    await until(`${unit} is ended`, endsWithinMs, async () =>
      (await machine.property(unit, 'Result')) === 'timeout' ? true : null,
    );
    const [from, to] = [
      await machine.property(unit, 'InactiveExitTimestampMonotonic'),
      await machine.property(unit, 'InactiveEnterTimestampMonotonic'),
    ];
    expect(Number(to) - Number(from)).toBeLessThan(85_000_000);
  }
}

/** Programs that do not end when they should: each is ended by the limit of its unit, and so is what it started. */
async function endings(machine: Machine, textOf: (unit: string) => string): Promise<void> {
  const deaf = (n: number) => `trap '' TERM; sleep 8639${n} & while :; do wait; done`;
  const attempts: Attempt[] = [agent, page, updater].map((unit) => ({
    name: `deaf-${unit.replace('.service', '')}`,
    unit: textOf(unit),
    script: deaf(9),
    type: 'exec',
  }));
  const leaves: Attempt = { name: 'leaves', unit: '[Service]\nKillMode=process\n', script: deaf(8), type: 'exec' };
  await begin(machine, [...attempts, { ...leaves, unit: `${leaves.unit}TimeoutStopSec=5\n` }]);
  for (const { name } of [...attempts, leaves]) {
    await until(`${name} runs`, endsWithinMs, async () =>
      (await machine.property(`${name}.service`, 'SubState')) === 'running' ? true : null,
    );
    const stopMs = performance.now();
    await machine.command('systemctl', 'stop', `${name}.service`);
    // systemd's own time for it is 90 s.
    expect(performance.now() - stopMs).toBeLessThan(45_000);
    expect(await machine.property(`${name}.service`, 'Result')).toBe('timeout');
  }
  const left = async (n: number) =>
    (await machine.try(['sh', '-c', `grep -la '[8]639${n}' /proc/[0-9]*/cmdline`])).stdout;
  expect(await left(9)).toBe('');
  // Where only the main process is killed, what it started stays.
  expect(await left(8)).not.toBe('');
}

/** The tmpfs of run/: its size, its number of files, and what cannot be done there. */
async function placesInRun(machine: Machine): Promise<void> {
  const place = '/var/lib/holdfast/run/probe';
  const lines = [
    `mkdir ${place} && cd ${place} && chmod 0755 .`,
    'head -c 20M /dev/zero >fill 2>/dev/null && echo size; rm -f fill',
    'cp /usr/bin/true program && ./program 2>/dev/null && echo noexec',
    'mknod null c 1 3 && (: >null) 2>/dev/null && echo nodev',
    'perl -e \'for (1..20000) { open(F, ">f$_") or exit 1 }\' && echo nr_inodes',
    'grep " /var/lib/holdfast/run tmpfs " /proc/mounts | grep -q nosuid || echo nosuid',
    `cd / && rm -rf ${place}`,
  ];
  await machine.command('systemctl', 'stop', 'holdfast-updater.timer');
  // Each line says its limit's name when the limit does not hold.
  expect(await machine.command('sh', '-c', lines.join('\n'))).toBe('');
  const open = lines.map((line) => line.replaceAll('/var/lib/holdfast/run/probe', '/srv/open/probe'));
  const elsewhere = (await machine.command('sh', '-c', open.slice(0, -2).join('\n'))).split('\n');
  expect(elsewhere).toEqual(expect.arrayContaining(['size', 'noexec', 'nr_inodes']));
  await machine.command('systemctl', 'start', 'holdfast-updater.timer');
}
