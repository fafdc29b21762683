import { promisify } from 'node:util';
import { constants, zstdDecompress } from 'node:zlib';
import { isPlainFrame } from '../../protocol/plain-frame.ts';

const unpack = promisify(zstdDecompress);

/** log2 of the memory that a frame may need: 8 MiB, as on an appliance. */
const windowLogMax = 23;

/**
 * The content of one frame, unpacked as every appliance does: what an appliance would refuse is refused here.
 * @throws RangeError or an error of zlib: the frame is not one, or holds more than `sizeMax` bytes
 */
export async function unpackFrame(frame: Buffer, sizeMax: number): Promise<Buffer> {
  if (!isPlainFrame(frame)) throw new RangeError('it is not one zstd frame, or there is something behind it');
  return unpack(frame, { maxOutputLength: sizeMax, params: { [constants.ZSTD_d_windowLogMax]: windowLogMax } });
}
