import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { catalogueOf, catalogueShape } from '../../../agent/maker/catalogue.ts';
import { defineCheck, defineDuty, defineOrder, defineSecret, defineSetting } from '../../../agent/maker/index.ts';
import { madeSettings } from '../../../agent/maker/made-settings.ts';

const read = defineDuty({ name: 'read', schedule: { everyMs: 1_000 }, run: () => 1 });
const fresh = defineCheck({
  name: 'fresh',
  everyMs: 5_000,
  sees: 'read',
  run: () => ({ status: 'ok', sentence: 'It is.' }),
});
const reset = defineOrder({ name: 'reset', args: z.object({ to: z.coerce.number() }), run: ({ args }) => args.to + 1 });
const limit = defineSetting({ name: 'limitKw', shape: z.number().min(1).max(500), standard: 50, text: 'Alarm above.' });
const token = defineSecret({ name: 'collectorToken', text: 'What the collector asks for.' });
const sound = { read, fresh, reset, limit, token, somethingElse: 7, helper: () => 1, nothing: null };

describe('what a maker’s module defines', () => {
  it('is described without its code, and the description is what the agent reads', () => {
    const catalogue = catalogueOf(sound);
    expect(catalogueShape.parse(JSON.parse(JSON.stringify(catalogue)))).toEqual(catalogue);
    expect(catalogue).toMatchObject({
      duties: [{ name: 'read', schedule: { everyMs: 1_000 } }],
      checks: [{ name: 'fresh', everyMs: 5_000, timeoutMs: 10_000, sees: 'read' }],
      orders: [{ name: 'reset', timeoutMs: 30_000 }],
      settings: [{ name: 'limitKw', standard: 50, schema: { minimum: 1, maximum: 500 } }],
      secrets: [{ name: 'collectorToken' }],
    });
  });

  const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`c${i}`, { ...fresh, name: `check-${i}` }]));
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a check with the name of a duty', { twin: { ...fresh, name: 'read' } }, /two are named read/],
    ['two settings of one name', { twin: limit }, /two are named limitKw/],
    ['a check of the agent’s own', { disk: { ...fresh, name: 'disk' } }, /check disk: name: a duty or a check of the/],
    ['a check that sees no duty', { blind: { ...fresh, name: 'blind', sees: 'nobody' } }, /blind sees the duty nobody/],
    ['a check that never rests', { busy: { ...fresh, name: 'busy', everyMs: 10 } }, /check busy: everyMs/],
    ['too many checks', many, /10 definitions of the kind check; at most 8/],
    ['an order without end', { slow: { ...reset, name: 'slow', timeoutMs: 3_600_000 } }, /order slow: timeoutMs/],
    [
      'a setting whose standard does not fit',
      { odd: { ...limit, name: 'odd', standard: 0 } },
      /setting odd: its standard/,
    ],
    [
      'a setting without a shape',
      { odd: { ...limit, name: 'odd', shape: 'number' } },
      /setting odd: shape: a shape of zod/,
    ],
    [
      'a setting that JSON Schema cannot say',
      { odd: { ...limit, name: 'odd', shape: z.bigint(), standard: 1n } },
      /setting odd: .*BigInt/,
    ],
    ['a setting without a word for people', { odd: { ...limit, name: 'odd', text: '' } }, /setting odd: text/],
    ['a setting with a name of no field', { odd: { ...limit, name: 'limit kW' } }, /setting limit kW: name: letters/],
  ])('is refused with %s', (_, more, words) => {
    expect(() => catalogueOf({ ...sound, ...more })).toThrow(words);
  });
});

describe('what a site chose for a maker’s settings', () => {
  const { settings, secrets } = catalogueOf(sound);
  it.each<[object, object, string[]]>([
    [{}, {}, []],
    [{ limitKw: 80 }, { limitKw: 80 }, []],
    [{ limitKw: 'eighty' }, {}, ['maker.limitKw: it must be a number, and is a text; 50 holds']],
    [{ limitKw: 501 }, {}, ['maker.limitKw: it must be at most 500; 50 holds']],
    [{ limitKW: 80 }, {}, ['maker: "limitKW" is not known (limitKw is)']],
    [{ ofAnotherVersion: true }, {}, []],
  ])('%j gives %j', (found, values, problems) => {
    expect(madeSettings(settings, secrets, found as Record<string, unknown>)).toMatchObject({ values, problems });
  });

  it.each<[unknown, string, number]>([
    [undefined, 'collectorToken', 0],
    ['token-of-site', 'token-of-site', 0],
    ['../../updater/identity.json', 'collectorToken', 1],
    ['.', 'collectorToken', 1],
    [7, 'collectorToken', 1],
  ])('the file of a secret that is %j is %s, in the directory of secrets alone', (name, file, problems) => {
    const found = madeSettings(settings, secrets, name === undefined ? {} : { collectorToken: name });
    expect([found.secretFiles.get('collectorToken'), found.problems.length]).toEqual([file, problems]);
  });
});
