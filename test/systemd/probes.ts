/**
 * One attempt for each limit of a unit that systemd enforces by itself. Each says with its exit status whether the room
 * was open (0) or the attempt was refused (`refused`); anything else is a probe that does not work.
 */
export const refused = 42;

export interface Probe {
  readonly directive: string;
  /** Lines of sh; `VALUE` stands for the first place that the directive names. */
  readonly script: string;
  /** With what value it is tried alone; else as the first unit has it that has it. */
  readonly value?: string;
  /** Lines that it needs beside it in a unit of its own. */
  readonly beside?: string;
  /** Root may do it in any case, or it says nothing about root. */
  readonly needsUser?: boolean;
}

/** Where every user of the machine may write; made for the probes. */
export const openPlace = '/srv/open';
export const secretPlace = '/srv/secret';
export const i386Program = '/srv/i386';
export const suidProgram = '/srv/suid-id';

/** EPERM where the filter sees the call; what the kernel itself says of the arguments where it does not. */
const isFiltered = (call: string) => `perl -e '$! = 0; ${call}; exit($! == 1 ? ${refused} : 0)'`;
const orRefused = (command: string) => `${command} || exit ${refused}`;

export const probes: readonly Probe[] = [
  { directive: 'NoNewPrivileges', script: orRefused(`[ "$(${suidProgram} -u)" = 0 ]`), needsUser: true },
  { directive: 'ProtectSystem', script: orRefused(`touch ${openPlace}/$$`) },
  { directive: 'ProtectHome', script: orRefused('[ -e /home/marker ]') },
  { directive: 'PrivateTmp', script: orRefused('[ -e /tmp/marker ]') },
  { directive: 'ProtectKernelTunables', script: orRefused('echo probe >/proc/sys/kernel/domainname') },
  { directive: 'ProtectKernelModules', script: orRefused('ls /usr/lib/modules/marker') },
  { directive: 'ProtectKernelLogs', script: orRefused('dmesg') },
  {
    directive: 'ProtectControlGroups',
    script: `for d in /sys/fs/cgroup/pids /sys/fs/cgroup; do mkdir $d/p$$ && rmdir $d/p$$ && exit 0; done; exit ${refused}`,
  },
  // Before the epoch: the kernel takes no such time, so the clock stays as it is.
  { directive: 'ProtectClock', script: `date -s @-1 2>&1 | grep -q 'not permitted' && exit ${refused}; exit 0` },
  { directive: 'ProtectHostname', script: orRefused('hostname "$(hostname)"') },
  { directive: 'RestrictNamespaces', script: orRefused('unshare --uts true') },
  // sched_setscheduler(2) with a priority that does not exist.
  { directive: 'RestrictRealtime', script: isFiltered('my $p = pack("i", 0); syscall(144, 0, 1, $p)') },
  { directive: 'RestrictSUIDSGID', script: `f=${openPlace}/s$$; touch $f; ${orRefused('chmod u+s $f')}` },
  { directive: 'LockPersonality', script: orRefused('setarch "$(uname -m)" --addr-no-randomize true') },
  { directive: 'SystemCallArchitectures', script: `${i386Program}; ${orRefused('[ $? = 7 ]')}` },
  {
    directive: 'CapabilityBoundingSet',
    script: orRefused(
      `perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(9, INADDR_LOOPBACK)) or exit 1'`,
    ),
  },
  { directive: 'PrivateDevices', script: orRefused('[ -e /dev/marker ]') },
  { directive: 'ProtectProc', script: orRefused('[ -e /proc/1/status ]'), needsUser: true },
  // AF_PACKET.
  { directive: 'RestrictAddressFamilies', script: orRefused(`perl -e 'socket(S, 17, 3, 0) or exit 1'`) },
  {
    directive: 'SystemCallFilter',
    script: orRefused(`perl -e 'chroot("/") or exit 1'`),
    beside: 'SystemCallErrorNumber=EPERM',
  },
  { directive: 'InaccessiblePaths', script: orRefused('[ -n "$(ls -A VALUE)" ]'), value: secretPlace },
  { directive: 'PrivateNetwork', script: orRefused('[ "$(grep -c : /proc/net/dev)" -gt 1 ]') },
  { directive: 'UMask', script: `f=${openPlace}/u$$; touch $f; ${orRefused('[ "$(stat -c %a $f)" = 644 ]')}` },
  { directive: 'LimitNOFILE', script: orRefused('ulimit -n 5000'), needsUser: true },
  { directive: 'LimitCORE', script: orRefused('ulimit -c 1000'), needsUser: true },
  {
    directive: 'TasksMax',
    script: `perl -e 'for (1..200) { my $p = fork(); exit ${refused} unless defined $p; if (!$p) { sleep 2; exit } }'`,
  },
];

/** A program of the 32-bit world that ends with 7: an ELF header, one segment, and `exit(7)` by `int 0x80`. */
export function i386Bytes(): Buffer {
  const base = 0x08048000;
  const code = Buffer.from([0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80]);
  const head = Buffer.alloc(84);
  head.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const words: readonly (readonly [number, number])[] = [
    [20, 1],
    [24, base + head.length],
    [28, 52],
    [56, 0],
    [60, base],
    [64, base],
    [68, head.length + code.length],
    [72, head.length + code.length],
    [76, 5],
    [80, 0x1000],
  ];
  for (const [at, value] of words) head.writeUInt32LE(value, at);
  // Executable, of the i386; sizes of this header and of the one segment's; one segment, which is loaded.
  for (const [at, value] of [
    [16, 2],
    [18, 3],
    [40, 52],
    [42, 32],
    [44, 1],
  ] as const)
    head.writeUInt16LE(value, at);
  head.writeUInt32LE(1, 52);
  return Buffer.concat([head, code]);
}
