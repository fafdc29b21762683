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
  // getpid(2) of the x32 world: a kernel without one, nor one of the i386, says ENOSYS; the filter refuses or kills.
  { directive: 'SystemCallArchitectures', script: orRefused(`perl -e 'syscall(0x40000027); exit($! == 1)'`) },
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
