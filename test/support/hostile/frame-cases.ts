import { zstdCompressSync } from 'node:zlib';
import type { Sample } from './sample.ts';
import { boastingFrame, bomb, skippableFrame, wideWindow } from './zstd-frame.ts';

/** A release whose manifest is signed and whose frames are not what it promises. */
export interface FrameCase {
  readonly name: string;
  /** In the place of the frame of the first chunk, whose raw bytes are these. */
  readonly frame: (raw: Buffer) => Buffer;
}

/** What somebody between builder and appliance can do to a frame, with the manifest that its builder would have signed. */
export const frameCases: readonly FrameCase[] = [
  { name: 'that becomes 64 MiB', frame: () => bomb(64 * 1024 * 1024) },
  { name: 'that says it becomes 64 MiB', frame: () => zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)) },
  { name: 'that asks for a window of 2 GiB', frame: (raw) => wideWindow(21, raw) },
  { name: 'that asks for a window of 16 MiB', frame: (raw) => wideWindow(14, raw) },
  { name: 'that says it becomes 4 GiB in one piece', frame: (raw) => boastingFrame(2n ** 32n, raw) },
  { name: 'that says it becomes 2^63 bytes', frame: (raw) => boastingFrame(2n ** 63n, raw) },
  { name: 'with bytes behind it', frame: (raw) => Buffer.concat([zstdCompressSync(raw), Buffer.from('hidden')]) },
  { name: 'with zeros behind it', frame: (raw) => Buffer.concat([zstdCompressSync(raw), Buffer.alloc(64)]) },
  {
    name: 'in two halves',
    frame: (raw) => Buffer.concat([raw.subarray(0, 4), raw.subarray(4)].map((part) => zstdCompressSync(part))),
  },
  {
    name: 'with an empty one behind it',
    frame: (raw) => Buffer.concat([raw, Buffer.alloc(0)].map((part) => zstdCompressSync(part))),
  },
  {
    name: 'with a skippable one before it',
    frame: (raw) => Buffer.concat([skippableFrame(Buffer.from('hidden')), zstdCompressSync(raw)]),
  },
  {
    name: 'with a skippable one behind it',
    frame: (raw) => Buffer.concat([zstdCompressSync(raw), skippableFrame(Buffer.from('hidden'))]),
  },
  { name: 'that is skippable', frame: (raw) => skippableFrame(raw) },
  { name: 'that is not compressed at all', frame: (raw) => raw },
  { name: 'that ends early', frame: (raw) => zstdCompressSync(raw).subarray(0, -3) },
  { name: 'of other bytes', frame: (raw) => zstdCompressSync(Buffer.from(raw).fill(0x41)) },
  { name: 'of one byte more', frame: (raw) => zstdCompressSync(Buffer.concat([raw, Buffer.from('x')])) },
  { name: 'of one byte less', frame: (raw) => zstdCompressSync(raw.subarray(1)) },
  { name: 'of no bytes', frame: () => zstdCompressSync(Buffer.alloc(0)) },
];

/** The sample with another frame for its first chunk. */
export function withFrame({ manifest, chunks }: Sample, raw: Buffer, { frame }: FrameCase): Sample {
  const hostile = frame(raw);
  const [first, second] = manifest.chunks;
  if (first === undefined || second === undefined) throw new RangeError('the sample has two chunks');
  const listed = [
    { ...first, stored: hostile.length },
    { ...second, offset: hostile.length },
  ];
  return { manifest: { ...manifest, chunks: listed }, chunks: Buffer.concat([hostile, chunks.subarray(first.stored)]) };
}
