import type { IncomingHttpHeaders } from 'node:http';
import { claimsTarget, type RequestParts } from '../../protocol/trust/http-signature.ts';

/** A request as its signature says that it covers it: with the name that it came by, where it does. */
export function asSigned<Parts extends Omit<RequestParts, 'body'>>(headers: IncomingHttpHeaders, parts: Parts): Parts {
  const target = { authority: headers.host ?? '', query: '?' };
  return claimsTarget(headers) ? { ...parts, target } : parts;
}
