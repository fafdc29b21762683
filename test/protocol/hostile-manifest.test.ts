import { describe, expect, it } from 'vitest';
import { manifestShape } from '../../protocol/manifest.ts';
import { readManifest } from '../../protocol/read-manifest.ts';
import { cpuStopwatch } from '../support/cpu-time.ts';
import { contentCases } from '../support/hostile/content-cases.ts';
import { pathCases } from '../support/hostile/path-cases.ts';
import { sampleRelease } from '../support/hostile/sample.ts';

/** Longest that anybody may be kept busy by one manifest: an appliance has a slower processor, and other work. */
const readingMsMax = 2_000;

const sample = sampleRelease('2.0.0').manifest;

function bytesOf(value: unknown): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
}

describe('a manifest', () => {
  it('is read when nothing is wrong with it', () => {
    expect(readManifest(bytesOf(sample))).toMatchObject({ outcome: 'read', manifest: { version: '2.0.0' } });
  });

  it.each([...pathCases, ...contentCases].filter(({ needsMore }) => needsMore !== true))(
    'is not read with $name, and says why in one sentence',
    ({ code, change }) => {
      const bytes = bytesOf(change(sample));
      const busyMs = cpuStopwatch();
      const reading = readManifest(bytes);
      expect(busyMs()).toBeLessThan(readingMsMax);
      expect(reading.outcome).toBe(code === 'incompatible' ? 'newer' : 'unusable');
      const sentence = reading.outcome === 'newer' ? reading.needs : reading.outcome === 'unusable' ? reading.why : '';
      expect(sentence.length).toBeGreaterThan(0);
      expect(sentence.length).toBeLessThanOrEqual(200);
    },
  );

  it.each(pathCases)('has a shape that refuses $name, whoever parsed it', ({ change }) => {
    expect(manifestShape.safeParse(change(sample)).success).toBe(false);
  });

  it('with a list that is too long is refused for that, before anybody looks at its entries', () => {
    const files = Array.from({ length: 20_001 }, () => ({}));
    const issues = manifestShape.safeParse({ ...sample, files }).error?.issues ?? [];
    expect(issues.map(({ message }) => message)).toEqual(['no list has more than 20000 entries']);
  });

  it('gives no prototype anything, whatever its keys are', () => {
    const text = JSON.stringify(sample).replace(
      '{',
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},',
    );
    const reading = readManifest(Buffer.from(text));
    expect(reading.outcome).toBe('read');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect(JSON.stringify(reading)).not.toContain('polluted');
  });
});
