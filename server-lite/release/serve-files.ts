import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Refusal } from '../refusal.ts';
import { publishTexts } from '../texts.ts';
import type { ReleaseShelf } from './shelf.ts';

const paramsShape = z.object({
  folder: z.enum(['metadata', 'targets', 'bundles']),
  // No slash, no leading dot: a name can only be a file in this folder.
  file: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/)
    .refine((name) => !name.endsWith('.tmp')),
});
/** A file named by its content or its version never changes; a proxy may keep it. */
const unchangingS = 86_400;

export type Range = { readonly start: number; readonly end: number };

/**
 * RFC 9110 section 14: one byte range. Several ranges, or another unit, are answered whole, as the standard allows.
 * @returns null for the whole file
 * @throws Refusal `range-not-satisfiable`
 */
export function parseRange(header: string | undefined, size: number): Range | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return null;
  const [first = '', last = ''] = match.slice(1);
  if (first === '' && last === '') return null;
  const start = first === '' ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
  if (start >= size || (first === '' && Number(last) === 0)) {
    throw new Refusal('range-not-satisfiable', publishTexts.fileBytes(size));
  }
  return { start, end };
}

/** The release repository under `/releases/`: plain files, as any static host or CDN would serve them. */
export function releaseFileRoutes(shelf: ReleaseShelf) {
  return (app: FastifyInstance, _options: object, done: () => void): void => {
    app.route({
      method: ['GET', 'HEAD'],
      url: '/releases/:folder/:file',
      config: { access: 'public' },
      handler: (request, reply) => serve(shelf, request, reply),
    });
    done();
  };
}

async function serve(shelf: ReleaseShelf, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const params = paramsShape.safeParse(request.params);
  if (!params.success) throw new Refusal('not-found', publishTexts.noSuchFile);
  const { folder, file } = params.data;
  const size = await sizeOf(join(shelf.directory, folder, file));
  reply
    .header('accept-ranges', 'bytes')
    .header('content-type', file.endsWith('.json') ? 'application/json' : 'application/octet-stream');
  reply.header('cache-control', file === 'timestamp.json' ? 'no-cache' : `public, max-age=${unchangingS}`);
  let range: Range | null;
  try {
    range = parseRange(request.headers.range, size);
  } catch (error) {
    reply.header('content-range', `bytes */${size}`);
    throw error;
  }
  reply.header('content-length', range === null ? size : range.end - range.start + 1);
  if (range !== null) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${size}`);
  if (request.method === 'HEAD') return reply.send();
  return reply.send(createReadStream(join(shelf.directory, folder, file), range ?? {}));
}

async function sizeOf(path: string): Promise<number> {
  try {
    const file = await open(path, 'r');
    try {
      return (await file.stat()).size;
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw new Refusal('not-found', publishTexts.noSuchFile, undefined, { cause });
    }
    throw cause;
  }
}
