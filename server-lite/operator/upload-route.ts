import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FastifyInstance } from 'fastify';
import type { Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import { type Publication, publishBundle } from '../release/publish.ts';
import { operatorTexts } from '../texts.ts';
import { requireOperator, type Sessions } from './session.ts';
import { publishQueryShape } from './shapes.ts';
import { releaseView } from './views.ts';

/** An image of an operating system is the largest release; beyond this, something is wrong. */
const bundleBytesMax = 4 * 1024 * 1024 * 1024;

function capBytes(max: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      bytes += chunk.length;
      if (bytes > max) done(new Refusal('bundle-too-large', operatorTexts.bundleTooLarge(max)));
      else done(null, chunk);
    },
  });
}

/**
 * POST /api/releases: writes the bundle's bytes to disk as they come, then verifies and publishes it. That takes hours
 * over a slow line, so the operator is checked again then: a token that was replaced meanwhile publishes nothing.
 */
export function uploadRoute(core: Core, sessions: Sessions) {
  return (app: FastifyInstance, _options: object, done: () => void): void => {
    // One publication at a time: each builds on the metadata that the previous one wrote.
    let last: Promise<unknown> = Promise.resolve();
    const inTurn = (work: () => Promise<Publication>): Promise<Publication> => {
      const turn = last.then(work);
      // The next one starts whatever the result of this one; its own caller hears of the failure.
      last = turn.then(
        () => undefined,
        () => undefined,
      );
      return turn;
    };
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { bodyLimit: bundleBytesMax }, (_request, payload, parsed) => parsed(null, payload));
    app.post('/api/releases', { config: { access: 'operator' }, bodyLimit: bundleBytesMax }, async (request, reply) => {
      const query = publishQueryShape.safeParse(request.query);
      if (!query.success) throw new Refusal('request-malformed', operatorTexts.runUnknown);
      const { run } = query.data;
      const requireLeave = () => requireOperator(sessions, request);
      const upload = join(core.shelf.incoming, `${randomUUID()}.hfb`);
      if (!(request.body instanceof Readable)) {
        throw new Refusal('request-malformed', operatorTexts.noBundle, operatorTexts.noBundleNext);
      }
      try {
        await pipeline(request.body, capBytes(bundleBytesMax), createWriteStream(upload, { mode: 0o644, flush: true }));
      } catch (error) {
        await rm(upload, { force: true });
        throw error;
      }
      const { release, ...rest } = await inTurn(() => publishBundle(core, upload, run, requireLeave));
      const isCreated = rest.outcome === 'published' && run === 'real';
      return reply.code(isCreated ? 201 : 200).send({
        ...rest,
        release: release === null ? null : releaseView(release, core.attempts.failedOn(release.serial)),
      });
    });
    done();
  };
}
