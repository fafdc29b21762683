import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { explainFields, readFields } from '../../protocol/settings-fields.ts';

const shape = z.object({
  everyS: z.int().min(1).max(60).default(5).describe('Seconds between two looks.'),
  disk: z
    .object({
      freeMb: z.number().min(0).default(64).describe('Warns below it.'),
      kind: z.enum(['any', 'flash']).default('any').describe('What it is.'),
    })
    .prefault({}),
  ports: z.array(z.int()).max(4).default([]).describe('Those that are open.'),
  isLoud: z.boolean().default(false).describe('Says more.'),
});
const standards = { everyS: 5, disk: { freeMb: 64, kind: 'any' }, ports: [], isLoud: false };

describe('settings that are read field by field', () => {
  it.each([undefined, null, 5, 'text', [], {}])('are the standards for %j', (found) => {
    expect(readFields(shape, found)).toEqual({ value: standards, problems: [] });
  });

  it('take what fits, and name what does not by its path', () => {
    const found = { everyS: 61, disk: { freeMb: 5, kind: 'tape', more: 1 }, ports: [1], other: true };
    expect(readFields(shape, found)).toEqual({
      value: { everyS: 5, disk: { freeMb: 5, kind: 'any' }, ports: [1], isLoud: false },
      problems: [
        { path: 'everyS', problem: 'it must be at most 60', standard: '5' },
        { path: 'disk.kind', problem: expect.stringContaining('any'), standard: '"any"' },
      ],
    });
  });

  it.each([5, 'x', [1], null])('whose group is %j have the standards of that group', (disk) => {
    const { value, problems } = readFields(shape, { disk, everyS: 7 });
    expect([value.disk, value.everyS, problems.map(({ path }) => path)]).toEqual([standards.disk, 7, ['disk']]);
  });

  it('have no field of a prototype', () => {
    expect(readFields(shape, JSON.parse('{"__proto__": {"everyS": 9}}')).value).toEqual(standards);
  });

  it('are explained from their schema', () => {
    expect(explainFields(shape)).toEqual([
      { path: 'everyS', takes: 'a whole number from 1 to 60', standard: '5', text: 'Seconds between two looks.' },
      { path: 'disk.freeMb', takes: 'a number from 0', standard: '64', text: 'Warns below it.' },
      { path: 'disk.kind', takes: '"any", "flash"', standard: '"any"', text: 'What it is.' },
      { path: 'ports', takes: 'a list of at most 4', standard: '[]', text: 'Those that are open.' },
      { path: 'isLoud', takes: 'true or false', standard: 'false', text: 'Says more.' },
    ]);
  });
});
