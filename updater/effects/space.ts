/** From util-linux, on every Debian. */
const program = '/usr/bin/fallocate';
const timeoutMs = 60_000;
const codes: readonly (readonly [sentence: string, code: string])[] = [
  ['No space left on device', 'ENOSPC'],
  ['Disk quota exceeded', 'EDQUOT'],
  ['Read-only file system', 'EROFS'],
  ['File too large', 'EFBIG'],
  ['Operation not supported', 'EOPNOTSUPP'],
  ['Input/output error', 'EIO'],
];

/**
 * Gives a file its blocks without writing them (fallocate(2)), which Node cannot do.
 * @throws what the system said, with its `code`; `EOPNOTSUPP` also when the program is missing
 */
export function allocate(path: string, bytes: number): void {
  // Only a transaction comes here: the module that starts programs is slow to load.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const options = { env: { LC_ALL: 'C' }, encoding: 'utf8', timeout: timeoutMs } as const;
  const { error, status, stderr } = spawnSync(program, ['--length', String(bytes), '--', path], options);
  if (error === undefined && status === 0) return;
  const complaint = error === undefined ? stderr.trim() : error.message;
  const known = codes.find(([sentence]) => complaint.includes(sentence))?.[1];
  const isMissing = error !== undefined && 'code' in error && error.code === 'ENOENT';
  throw Object.assign(new Error(complaint), { code: isMissing ? 'EOPNOTSUPP' : (known ?? 'EIO') });
}
