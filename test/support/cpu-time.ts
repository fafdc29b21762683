/**
 * What a message of a stranger may cost is promised in processor time of its reader: seconds on the wall also count what
 * everything else on the machine does meanwhile.
 * @returns how long this process was busy since, in milliseconds
 */
export function cpuStopwatch(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  };
}
