import { authorityOf } from '../protocol/address.ts';
import { authorityOfAddress } from '../protocol/authority.ts';
import { loopbackHosts } from './guard.ts';
import { type Listen, namesOf } from './listen-policy.ts';

/**
 * The authorities that a request may be signed for, each in one form: those of the public addresses, and each name of
 * this server at the port where it listens. Another port of this machine is another server.
 * @param address where the server listens
 */
export function ownAuthorities(listen: Pick<Listen, 'publicUrls'>, address: string): ReadonlySet<string> {
  const { port, protocol } = new URL(address);
  const names = [...loopbackHosts, ...namesOf(listen)];
  const here = names.map((name) => authorityOf(port === '' ? name : `${name}:${port}`, protocol));
  const named = listen.publicUrls.flatMap((url) => authorityOfAddress(url) ?? []);
  return new Set([...here, ...named]);
}
