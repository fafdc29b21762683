import type { Certificate } from '../certificate.ts';
import type { SiteProxy } from './listening.ts';
import { startClosingProxy, startSilentProxy } from './mute-proxy.ts';
import { startOpeningProxy } from './opening-proxy.ts';
import { startCaptivePortal, startRefusingProxy } from './refusing-proxy.ts';

/** What a wrong entry of the network path may be, each as a sentence about it. */
export const wrongProxies: readonly (readonly [what: string, start: (own: () => Certificate) => Promise<SiteProxy>])[] =
  [
    ['wants a password (407)', () => startRefusingProxy(407)],
    ['forbids it (403)', () => startRefusingProxy(403)],
    ['reaches nobody (502)', () => startRefusingProxy(502)],
    ['is a cache that has nothing (404)', () => startRefusingProxy(404)],
    ['is a captive portal (200 and a page)', () => startCaptivePortal()],
    ['says nothing', () => startSilentProxy()],
    ['hangs up', () => startClosingProxy()],
    ['opens TLS by an authority of its own', (own) => startOpeningProxy(own())],
  ];
