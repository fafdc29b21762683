import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applianceIdOf, applianceIdShape, newId, typedApplianceIdShape, uuidShape } from '../../protocol/ids.ts';

const hex = fc.stringMatching(/^[0-9a-f]{20}$/);
const separator = fc.constantFrom('', '-', ':', ' ', '.');

describe('appliance ids', () => {
  it.each([
    'hf-080027 98fd84 00112233',
    'HF-08002798FD8400112233',
    '08:00:27:98:FD:84:00:11:22:33',
    '08-00-27-98-fd-84-00-11-22-33',
    '  hf 08002798fd8400112233 ',
    'hf:08002798fd84.00112233',
  ])('S8: typed as %j have the one canonical form', (typed) => {
    expect(typedApplianceIdShape.parse(typed)).toBe('hf-08002798fd8400112233');
  });

  it('S8: have one form however they are typed', () => {
    fc.assert(
      fc.property(hex, separator, fc.boolean(), fc.boolean(), (digits, between, isUpper, hasPrefix) => {
        const pairs = digits.match(/../g) ?? [];
        const typed = (hasPrefix ? 'hf-' : '') + pairs.join(between);
        expect(typedApplianceIdShape.parse(isUpper ? typed.toUpperCase() : typed)).toBe(`hf-${digits}`);
      }),
    );
  });

  it('are stored and sent in no other form', () => {
    for (const other of ['HF-08002798fd8400112233', 'hf-08:00:27:98:fd:84:00:11:22:33', '08002798fd8400112233']) {
      expect(applianceIdShape.safeParse(other).success).toBe(false);
    }
  });

  it.each(['', 'hf-', 'hf-0800', 'hf-08002798fd84001122334', 'till-3', 'hf-0800 2798 fd84 0011 22zz', 'x'.repeat(81)])(
    'are not read out of %j',
    (typed) => {
      expect(typedApplianceIdShape.safeParse(typed).success).toBe(false);
    },
  );

  it('come from the key and fit their shape', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        expect(applianceIdShape.parse(applianceIdOf(key))).toBe(applianceIdOf(key));
      }),
    );
  });
});

describe('new ids', () => {
  it('are UUIDs, each another one', () => {
    const made = Array.from({ length: 100 }, () => uuidShape.parse(newId()));
    expect(new Set(made).size).toBe(100);
  });
});
