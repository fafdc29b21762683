import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Core } from './core.ts';
import type { Tls } from './listen-policy.ts';
import { logTexts } from './texts.ts';
import { logged } from './timers.ts';

/** Open connections keep their old certificate. @param isAsked by a person, who is told what is wrong */
export function takeRenewed(core: Core, app: FastifyInstance, tls: Tls | null, isAsked: boolean): void {
  logged(core, logTexts.lookAtCertificate, () => {
    const isRenewed = tls?.renewed?.() === true;
    if (isRenewed && app.server instanceof TlsServer) {
      app.server.setSecureContext({ cert: tls.cert, key: tls.key });
      core.log.info(logTexts.certificateRenewed);
    }
    const trouble = isRenewed || isAsked ? core.policy.certificateTrouble(core.nowMs()) : null;
    if (trouble !== null) core.log.warn(trouble);
  });
}
