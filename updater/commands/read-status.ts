import { type Status, statusShape } from '../../protocol/status.ts';
import { type CommandLine, fail } from '../command-line.ts';
import { readJson } from '../effects/durable.ts';

const statusBytesMax = 256 * 1024;

export function readStatus(line: CommandLine): Status | null {
  const parsed = statusShape.safeParse(readJson(line.files, line.layout.status, statusBytesMax));
  return parsed.success ? parsed.data : null;
}

export function noStatus(line: CommandLine): number {
  return fail(
    line,
    'status-unknown',
    'the updater has not written a status since the boot, so nothing is known',
    'Start one run: holdfast-updater run',
  );
}
