import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { unknownFields, unknownFieldsText } from '../../protocol/known-fields.ts';
import { namedSourcesShape } from '../../protocol/sources.ts';
import { settingsShape } from '../../updater/identity/settings.ts';

describe('the fields of a file that a person wrote', () => {
  it.each([
    ['at the top', settingsShape, { trail: null }, [{ path: 'trail', meant: 'trial' }]],
    [
      'within',
      settingsShape,
      { trial: { helthyMs: 1, deadlineMs: 2 } },
      [{ path: 'trial.helthyMs', meant: 'healthyMs' }],
    ],
    [
      'of alternatives',
      settingsShape,
      { processControl: { kind: 'supervisor', sokcet: '' } },
      [{ path: 'processControl.sokcet', meant: 'socket' }],
    ],
    [
      'in a list',
      namedSourcesShape,
      { releases: [{ name: 'a', kind: 'cache', URL: 'x' }] },
      [{ path: 'releases.0.URL', meant: 'url' }],
    ],
    ['that are near none', namedSourcesShape, { somethingElse: 1 }, [{ path: 'somethingElse', meant: null }]],
    ['of a record', z.object({ any: z.record(z.string(), z.string()) }), { any: { what: 'ever' } }, []],
    ['that are all known', settingsShape, { processControl: { kind: 'systemd' }, os: null, sticks: ['/media'] }, []],
    ['of what is no object', settingsShape, 7, []],
  ] as const)('%s', (_, shape, value, found) => {
    expect(unknownFields(shape, value)).toEqual(found);
  });

  it('is told of in words, however many there are', () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`${'x'.repeat(500)}${n}`, 1]));
    expect(unknownFieldsText(unknownFields(namedSourcesShape, { ratebytesPerS: 1 }))).toBe(
      '"ratebytesPerS" is not known (rateBytesPerS is)',
    );
    expect(unknownFieldsText(unknownFields(namedSourcesShape, many)).length).toBeLessThan(400);
    expect(unknownFieldsText([])).toBe('');
  });
});
