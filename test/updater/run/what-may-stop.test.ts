import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { statusShape } from '../../../protocol/status.ts';
import { LockError } from '../../../updater/appliance/lock.ts';
import { realClock } from '../../../updater/effects/clock.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { IdentityError } from '../../../updater/identity/identity.ts';
import { ProcessControlError } from '../../../updater/processes/process-control.ts';
import { RecordWriteError } from '../../../updater/record/record-store.ts';
import { StateError } from '../../../updater/record/state-store.ts';
import { publishStop, type StopCode, stopOf, stops } from '../../../updater/run/what-may-stop.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';

const ofSystem = (code: string) => Object.assign(new Error(`${code}: write`), { code });
const cases: readonly (readonly [StopCode, unknown])[] = [
  ['not-claimed', new IdentityError('no identity')],
  ['nothing-to-run', new StateError('state-missing', 'no record')],
  ['not-allowed', ofSystem('EACCES')],
  ['disk-read-only', ofSystem('EROFS')],
  ['no-room', ofSystem('ENOSPC')],
  ['disk-fails', new RecordWriteError('does not read back')],
  ['lock-unusable', new LockError('can neither be locked nor moved')],
  ['process-control', new ProcessControlError('process-control-unreachable', 'no answer')],
  ['no-memory', ofSystem('ENOMEM')],
  ['defect', new RangeError('never')],
];

function place() {
  const layout = temporaryAppliance();
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  return { files: realFiles, layout, clock: realClock, version: '1.0.0', print, lines };
}

describe('what may stop a run', () => {
  it('is all in one list, each with a sentence and what to do next', () => {
    expect(new Set(cases.map(([code]) => code))).toEqual(new Set(Object.keys(stops)));
    for (const { text, next } of Object.values(stops)) {
      expect(text).toMatch(/^[a-z].{20,}[^.]$/);
      expect(next).toMatch(/^[A-Z].{10,}\.$/);
    }
  });

  it.each(cases)('is called %s, and the status says so where there was none', (code, error) => {
    const at = place();
    expect(stopOf(error)).toBe(code);
    expect(publishStop(at, error)).toBe(code);
    const status = statusShape.parse(JSON.parse(readFileSync(at.layout.status, 'utf8')));
    expect(status).toMatchObject({ verdict: { word: 'blocked' }, stopped: { code, next: stops[code].next } });
    expect(status.why).toContain(stops[code].text);
    expect(at.lines.join()).toContain(stops[code].next);
  });

  it('leaves in the status what the run before knew, with words of the future as they came', () => {
    const at = place();
    publishStop(at, ofSystem('EIO'));
    const before = JSON.parse(readFileSync(at.layout.status, 'utf8'));
    const known = { ...before, name: 'till-3', mood: 'of the future', verdict: { word: 'serene', sentence: 'well' } };
    writeFileSync(at.layout.status, JSON.stringify({ ...known, stopped: undefined }));
    publishStop(at, ofSystem('EROFS'));
    const after = JSON.parse(readFileSync(at.layout.status, 'utf8'));
    expect(after).toMatchObject({ name: 'till-3', mood: 'of the future', stopped: { code: 'disk-read-only' } });
  });

  it('is in the log where not even a status can be written', () => {
    const at = place();
    const files = {
      ...realFiles,
      create: () => {
        throw ofSystem('EROFS');
      },
    };
    expect(publishStop({ ...at, files }, ofSystem('EROFS'))).toBe('disk-read-only');
    expect(at.lines.join('\n')).toMatch(/read-only.*\n.*status cannot be written either/);
  });

  it('does not stumble over a status that is damaged', () => {
    const at = place();
    mkdirSync(at.layout.status);
    publishStop(at, ofSystem('ENOSPC'));
    expect(JSON.parse(readFileSync(at.layout.status, 'utf8'))).toMatchObject({ stopped: { code: 'no-room' } });
  });
});
