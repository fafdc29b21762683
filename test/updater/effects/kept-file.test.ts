import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { realFiles } from '../../../updater/effects/files.ts';
import { readKept } from '../../../updater/effects/kept-file.ts';
import { tellOfDamage } from '../../../updater/recovery/tell-of-damage.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

const shape = z.object({ n: z.int() });

describe('a file that can be begun anew', () => {
  it('is read where it is whole, and null where there is none', () => {
    const { counter: path } = temporaryAppliance();
    expect(readKept(realFiles, path, 100, shape)).toBeNull();
    writeFileSync(path, '{"n":7}');
    expect(readKept(realFiles, path, 100, shape)).toEqual({ n: 7 });
    expect(existsSync(`${path}.damaged`)).toBe(false);
  });

  it.each([
    ['no JSON', (path: string) => writeFileSync(path, '{"x')],
    ['another shape', (path: string) => writeFileSync(path, '{"n":"seven"}')],
    ['too large', (path: string) => writeFileSync(path, `{"n":7}${' '.repeat(200)}`)],
    ['a directory', (path: string) => mkdirSync(join(path, 'within'), { recursive: true })],
    ['a link', (path: string) => symlinkSync('/etc/hostname', path)],
    ['a pipe', (path: string) => execaSync('mkfifo', [path])],
  ])('is set aside where it is %s, and the next look finds nothing', (_what, damage) => {
    const { counter: path } = temporaryAppliance();
    damage(path);
    expect(readKept(realFiles, path, 100, shape)).toBeNull();
    expect(realFiles.stat(path)).toBeNull();
    expect(realFiles.stat(`${path}.damaged`)).not.toBeNull();
    expect(readKept(realFiles, path, 100, shape)).toBeNull();
  });

  it('is not blamed for what is wrong with the process', () => {
    const { counter: path } = temporaryAppliance();
    writeFileSync(path, '{"n":7}');
    const files = {
      ...realFiles,
      openRead: () => {
        throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
      },
    };
    expect(() => readKept(files, path, 100, shape)).toThrow(expect.objectContaining({ code: 'EMFILE' }));
    expect(readFileSync(path, 'utf8')).toBe('{"n":7}');
  });

  it('does not stop who reads it where it cannot be moved either', () => {
    const { counter: path } = temporaryAppliance();
    writeFileSync(path, '{"x');
    const files = {
      ...realFiles,
      rename: () => {
        throw Object.assign(new Error('read-only'), { code: 'EROFS' });
      },
    };
    expect(readKept(files, path, 100, shape)).toBeNull();
  });
});

describe('what was set aside', () => {
  it('is told of once, to the log and the server, and the newest three are kept', () => {
    const { appliance, clock, lines } = testAppliance(temporaryAppliance());
    const { files, layout, events } = appliance;
    for (let times = 1; times <= 5; times += 1) {
      clock.nowMs += 1_000;
      writeFileSync(layout.counter, `{"${times}`);
      readKept(files, layout.counter, 100, shape);
      tellOfDamage(appliance);
      tellOfDamage(appliance);
      expect(lines.length).toBe(times);
      expect(events.waiting).toBe(times);
    }
    expect(lines[0]).toContain('updater/counter.json was damaged (its 3 bytes say nothing): the server says which');
    const kept = [1, 2, 3].map((age) => readFileSync(`${layout.counter}.damaged-${age}`, 'utf8'));
    expect(kept).toEqual(['{"5', '{"4', '{"3']);
    expect(existsSync(`${layout.counter}.damaged-4`)).toBe(false);
  });

  it('is told of although it cannot be read', () => {
    const { appliance, lines } = testAppliance(temporaryAppliance());
    writeFileSync(`${appliance.layout.events}.damaged`, '');
    chmodSync(`${appliance.layout.events}.damaged`, 0);
    tellOfDamage(appliance);
    expect(lines.join()).toContain('updater/events.json was damaged (it was empty)');
  });
});
