import { RecordError } from '../../protocol/record.ts';
import { type StatusInput, statusShape } from '../../protocol/status.ts';
import { cut } from '../../protocol/text.ts';
import { LockError } from '../appliance/lock.ts';
import type { CommandLine } from '../effects/command-line.ts';
import { readFile, replaceJson } from '../effects/durable.ts';
import { isDamage } from '../effects/kept-file.ts';
import { IdentityError } from '../identity/identity.ts';
import { ProcessControlError } from '../processes/process-control.ts';
import { RecordWriteError } from '../record/record-store.ts';
import { StateError } from '../record/state-store.ts';
import { runTexts } from '../words/texts.ts';

/**
 * Everything that may stop a run of the updater, with the text that a person reads. Anything else wrong on the disk is
 * set aside, and the run continues. A stopped run ends with 1 and says why in run/status.json, which status, why and
 * page show.
 */
export const stops = {
  'not-claimed': {
    text: runTexts.neverSetUp,
    next: runTexts.neverSetUpNext,
  },
  'nothing-to-run': {
    text: runTexts.recordsLost,
    next: runTexts.recordsLostNext,
  },
  'not-allowed': {
    text: runTexts.mayNotRead,
    next: runTexts.mayNotReadNext,
  },
  'disk-read-only': {
    text: runTexts.readOnly,
    next: runTexts.readOnlyNext,
  },
  'no-room': {
    text: runTexts.noRoom,
    next: runTexts.noRoomNext,
  },
  'disk-fails': {
    text: runTexts.diskFails,
    next: runTexts.diskFailsNext,
  },
  'lock-unusable': {
    text: runTexts.lockFails,
    next: runTexts.lockFailsNext,
  },
  'process-control': {
    text: runTexts.agentUncontrolled,
    next: runTexts.agentUncontrolledNext,
  },
  'no-memory': {
    text: runTexts.noResources,
    next: runTexts.noResourcesNext,
  },
  defect: {
    text: runTexts.unexpected,
    next: runTexts.unexpectedNext,
  },
} as const satisfies Readonly<Record<string, { readonly text: string; readonly next: string }>>;

export type StopCode = keyof typeof stops;

/** Error codes of the system. */
const byErrno: Readonly<Record<string, StopCode>> = {
  EROFS: 'disk-read-only',
  ENOSPC: 'no-room',
  EDQUOT: 'no-room',
  EACCES: 'not-allowed',
  EPERM: 'not-allowed',
  EMFILE: 'no-memory',
  ENFILE: 'no-memory',
  ENOMEM: 'no-memory',
  EIO: 'disk-fails',
  EUCLEAN: 'disk-fails',
  EBADMSG: 'disk-fails',
};

export function stopOf(error: unknown): StopCode {
  if (error instanceof IdentityError) return 'not-claimed';
  if (error instanceof StateError || error instanceof RecordError) return 'nothing-to-run';
  if (error instanceof LockError) return 'lock-unusable';
  if (error instanceof RecordWriteError) return 'disk-fails';
  if (error instanceof ProcessControlError) return 'process-control';
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return byErrno[code] ?? 'defect';
}

type Place = Pick<CommandLine, 'files' | 'layout' | 'clock' | 'version' | 'print'>;

const statusBytesMax = 256 * 1024;
const messageMax = 200;

/**
 * Writes to run/status.json why this run was stopped, beside what was known before; if that cannot be written either,
 * it logs it.
 */
export function publishStop(place: Place, error: unknown): StopCode {
  const { files, layout, clock, print } = place;
  const code = stopOf(error);
  const { text, next } = stops[code];
  const message = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  print(runTexts.stoppedLine(text, code, message, next));
  const why = cut(runTexts.stopped(text, code, cut(message, messageMax), next), 600);
  const status: StatusInput = {
    ...(statusBefore(place) ?? nothingKnown(place)),
    verdict: { word: 'blocked', sentence: why },
    why,
    stopped: { code, text: `${text}: ${cut(message, messageMax)}`, next },
    wallS: clock.wallS(),
    at: { boot: clock.bootId(), monoMs: clock.monoMs() },
  };
  try {
    files.makeDirectory(layout.run, 0o755);
    replaceJson(files, layout.status, status, 0o644);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    print(runTexts.statusUnwritable(cause.message));
  }
  return code;
}

function statusBefore({ files, layout }: Place): StatusInput | null {
  try {
    const bytes = readFile(files, layout.status, statusBytesMax);
    const known: unknown = bytes === null ? null : JSON.parse(bytes.toString('utf8'));
    return isStatus(known) ? known : null;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return null;
  }
}

/** As written, not as parsed: words that are unknown here stay. */
function isStatus(value: unknown): value is StatusInput {
  return statusShape.safeParse(value).success;
}

function nothingKnown({ version }: Place): Omit<StatusInput, 'verdict' | 'why' | 'wallS'> {
  return {
    v: 1,
    appliance: null,
    name: '',
    server: null,
    row: 'unknown',
    slots: [],
    agent: {
      alive: false,
      pid: null,
      version: null,
      checks: {},
      server: 'unknown',
      crashes: 0,
      lastExit: null,
      lastOutput: '',
    },
    updater: { version, isolation: 'none' },
    checkIn: { last: null, error: null, nextInS: null },
    desired: null,
    quarantine: [],
    floor: { app: 0, updater: 0 },
    trial: null,
    settings: { trialHealthyMs: 0, trialDeadlineMs: 0, shortened: false },
    transactions: [],
    lastRequest: null,
  };
}
