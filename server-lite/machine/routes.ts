import type { FastifyInstance } from 'fastify';
import { checkInBytesMax, checkInPath } from '../../protocol/check-in.ts';
import { enrolPath } from '../../protocol/claim.ts';
import type { Core } from '../core.ts';
import { handleCheckIn } from './check-in.ts';
import { handleEnrol } from './enrol.ts';

/** The machine API: signed requests, no cookies, no CSRF (S9). Bodies stay the bytes that were signed. */
export function machineRoutes(core: Core) {
  return (app: FastifyInstance, _options: object, done: () => void): void => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: checkInBytesMax }, (_request, body, parsed) => {
      parsed(null, body);
    });
    const config = { access: 'machine' } as const;
    app.post(enrolPath, { config }, (request, reply) => handleEnrol(core, request, reply));
    app.post(checkInPath, { config }, (request, reply) => handleCheckIn(core, request, reply));
    done();
  };
}
