import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { privateKeyFromPem, privateKeyToPem } from '../../../protocol/trust/ed25519.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { ownKey } from '../../../updater/identity/own-key.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { cutAt, PowerCut, withOperations } from '../support/wrapped-files.ts';

const read = (path: string) => readFileSync(path, 'utf8');

describe('a key of the appliance', () => {
  it('S40: is there whole or not at all, wherever the power goes, and the same one ever after', () => {
    for (let n = 1; n < 100; n += 1) {
      const path = temporaryAppliance().identityKey;
      const { files } = cutAt(n);
      try {
        expect(privateKeyToPem(ownKey(files, path))).toBe(read(path));
        expect(n).toBeGreaterThan(10);
        return;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
      }
      const left = realFiles.stat(path) === null ? null : read(path);
      if (left !== null) expect(privateKeyFromPem(left).type).toBe('private');
      const key = privateKeyToPem(ownKey(realFiles, path));
      expect(key).toBe(left ?? read(path));
      expect(privateKeyToPem(ownKey(realFiles, path))).toBe(key);
    }
    expect.unreachable('it never ended');
  });

  it.each([
    ['other bytes', (bytes: Uint8Array) => Buffer.from(bytes).fill('x', 40, 60)],
    ['half of it', (bytes: Uint8Array) => bytes.subarray(0, 50)],
    ['nothing', () => new Uint8Array()],
  ])('S40: is read back: where the disk kept %s it is given to nobody, and made anew', (_what, spoil) => {
    const path = join(temporaryAppliance().updater, 'some.key');
    const lying = withOperations({
      write: (handle, bytes, position) => realFiles.write(handle, spoil(bytes), position),
    });
    expect(() => ownKey(lying, path)).toThrow(expect.objectContaining({ code: 'key-not-kept' }));
    expect(realFiles.stat(path)).toBeNull();
    expect(privateKeyToPem(ownKey(realFiles, path))).toBe(read(path));
  });
});
