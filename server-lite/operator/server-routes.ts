import type { FastifyInstance } from 'fastify';
import type { Core } from '../core.ts';
import { noticesOf } from '../notices.ts';
import { renewMetadata } from '../release/publish.ts';
import { clockTexts } from '../texts.ts';
import type { ServerView } from './shapes.ts';

const config = { access: 'operator' } as const;

function serverView(core: Core): ServerView {
  const clock = core.clock.trouble();
  return {
    epoch: core.epoch,
    nowMs: core.nowMs(),
    clock: clock === null ? { state: 'in order', machineMs: null } : { state: clock.kind, machineMs: clock.machineMs },
    metadata: [...core.metadata.ends],
    notices: noticesOf(core),
    unknownKeys: core.unknownKeys.list(),
  };
}

const done = {
  accept: clockTexts.accepted,
  reset: clockTexts.reset,
};

/** The server's own state, and the operator's word about its clock. */
export function serverRoutes(core: Core, app: FastifyInstance): void {
  app.get('/api/server', { config }, () => serverView(core));
  for (const change of ['accept', 'reset'] as const) {
    app.post(`/api/server/clock/${change}`, { config }, () => {
      core.clock[change]();
      renewMetadata(core);
      return { done: done[change], server: serverView(core) };
    });
  }
}
