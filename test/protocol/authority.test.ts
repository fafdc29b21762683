import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  asksUnder,
  authorityOfAddress,
  authorityShape,
  nothingUnheard,
  type Unheard,
  unheardAfter,
} from '../../protocol/authority.ts';

const schemes = fc.constantFrom('http', 'https');
const names = fc.domain();
const v6 = fc.ipV6().filter((address) => !address.includes('.'));
const hosts = fc.oneof(
  names,
  fc.ipV4(),
  v6.map((address) => `[${address}]`),
);
const ports = fc.integer({ min: 1, max: 65_535 });
const defaultPort = (scheme: string) => (scheme === 'https' ? 443 : 80);
/** The same host, written otherwise. */
const shouted = (host: string, mask: number) =>
  [...host].map((c, i) => (((mask >> (i % 30)) & 1) === 1 ? c.toUpperCase() : c)).join('');

describe('an authority in one form', () => {
  it.each([
    ['https://Fleet.Example', 'fleet.example'],
    ['https://fleet.example.:443/holdfast/', 'fleet.example'],
    ['http://fleet.example:443', 'fleet.example:443'],
    ['http://fleet.example:80', 'fleet.example'],
    ['https://fleet.example:80', 'fleet.example:80'],
    ['https://[2001:DB8:0:0::1]:8443', '[2001:db8::1]:8443'],
    ['http://[::1]', '[::1]'],
    ['http://127.1:8080', '127.0.0.1:8080'],
    ['https://bücher.example', 'xn--bcher-kva.example'],
    ['https://name:word@fleet.example/', 'fleet.example'],
    ['https://a!b.example', null],
  ])('of %s is %s', (address, authority) => {
    expect(authorityOfAddress(address)).toBe(authority);
  });

  it('does not depend on how the address is written', () => {
    fc.assert(
      fc.property(schemes, hosts, ports, fc.nat(), fc.webPath(), (scheme, host, port, mask, path) => {
        const authority = authorityOfAddress(`${scheme}://${host}:${port}`);
        expect(authorityOfAddress(`${scheme.toUpperCase()}://${shouted(host, mask)}:${port}${path}`)).toBe(authority);
        if (port === defaultPort(scheme)) expect(authorityOfAddress(`${scheme}://${host}${path}`)).toBe(authority);
      }),
    );
  });

  it('is its own form, without what could end a line of the signature base', () => {
    fc.assert(
      fc.property(schemes, hosts, ports, (scheme, host, port) => {
        const authority = authorityOfAddress(`${scheme}://${host}:${port}`) ?? '';
        expect(authorityShape.safeParse(authority).success).toBe(true);
        expect(authorityOfAddress(`${scheme}://${authority}`)).toBe(authority);
        expect(authority).toMatch(/^[[\]a-z0-9.:_-]+$/);
      }),
    );
  });

  it('differs where host or port do', () => {
    fc.assert(
      fc.property(names, names, ports, ports, (one, other, here, there) => {
        const same = one.toLowerCase() === other.toLowerCase() && here === there;
        const [a, b] = [authorityOfAddress(`https://${one}:${here}`), authorityOfAddress(`https://${other}:${there}`)];
        expect(a === b).toBe(same);
      }),
    );
  });

  it.each(['', 'Fleet.example', 'a b', 'a\nb', 'a.', 'a:0', 'a:', 'a:x', '[::1', 'a/b', '-a', `${'a'.repeat(261)}`])(
    '%j is none',
    (text) => {
      expect(authorityShape.safeParse(text).success).toBe(false);
    },
  );
});

describe('how a client asks', () => {
  const own = 'fleet.example';

  it('is signed for the authority only where the server said that very one', () => {
    expect(asksUnder(own, own, nothingUnheard)).toEqual({ authority: own, isKnown: true, signs: true });
    for (const known of [null, 'other.example', `${own}:8443`])
      expect(asksUnder(own, known, nothingUnheard)).toEqual({ authority: own, isKnown: false, signs: false });
    expect(asksUnder(null, null, nothingUnheard).signs).toBe(false);
  });

  it('goes back to the first profile at once, and to the other one within eight rounds, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 40, maxLength: 80 }), (answered) => {
        let unheard: Unheard = nothingUnheard;
        let [inFirst, wasUnheard] = [0, false];
        for (const isVerified of answered) {
          const asking = asksUnder(own, own, unheard);
          if (wasUnheard) expect(asking.signs).toBe(false);
          inFirst = asking.signs ? 0 : inFirst + 1;
          expect(inFirst).toBeLessThanOrEqual(7);
          wasUnheard = asking.signs && !isVerified;
          unheard = unheardAfter(asking, unheard, isVerified);
        }
      }),
    );
  });
});
