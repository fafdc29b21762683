import { describe, expect, it } from 'vitest';
import { addressBelow, authorityOf, basePathOf, hostNameOf, whyNoServerAddress } from '../../protocol/address.ts';
import {
  directEntry,
  entryWords,
  inTurn,
  isPlain,
  networkPathDigest,
  type PathEntry,
  proxyFor,
  shareOfTime,
} from '../../protocol/network-path.ts';

const proxy = 'http://tech:secret@proxy.site:3128';
const entry = (changes: Partial<PathEntry> = {}): PathEntry => ({ proxy, ca: { pins: [], pem: [] }, ...changes });

describe('an address below a base', () => {
  it.each([
    ['http://a', '/v1/checkin', 'http://a/v1/checkin'],
    ['http://a/', '/v1/checkin', 'http://a/v1/checkin'],
    ['http://a/holdfast', '/v1/checkin', 'http://a/holdfast/v1/checkin'],
    ['http://a/holdfast//', 'releases', 'http://a/holdfast/releases'],
  ])('%s and %s are %s', (base, path, joined) => {
    expect(addressBelow(base, path)).toBe(joined);
  });

  it('has a base path that is told without a slash at its end', () => {
    expect(['http://a', 'http://a/', 'http://a/b/', 'http://a/b/c'].map(basePathOf)).toEqual(['', '', '/b', '/b/c']);
  });
});

describe('a host', () => {
  it.each([
    ['Fleet.Example.:443', 'fleet.example'],
    ['fleet.example', 'fleet.example'],
    ['127.0.0.1:80', '127.0.0.1'],
    ['[::1]:80', '[::1]'],
    ['[::1]', '[::1]'],
    ['[::1]evil', '[::1]evil'],
    ['[::1]evil:80', '[::1]evil:80'],
    ['[::1]:80.evil', '[::1]:80.evil'],
    ['', ''],
  ])('%s is %s', (host, name) => {
    expect(hostNameOf(host)).toBe(name);
  });

  it('has the port of its scheme, named or not', () => {
    expect(authorityOf('Fleet.example.:443', 'https:')).toBe(authorityOf('fleet.example', 'https:'));
    expect(authorityOf('fleet.example:443', 'http:')).not.toBe(authorityOf('fleet.example', 'http:'));
  });
});

describe('the address of a server', () => {
  it.each([
    'fleet.example',
    'ftp://fleet.example',
    'http://name@fleet.example',
    'http://fleet.example/?a',
    'http://fleet.example/#a',
    '',
  ])('is not %s', (address) => {
    expect(whyNoServerAddress(address)).not.toBeNull();
  });

  it('may have a path, a port and a dot at the end of its name', () => {
    for (const address of ['http://a', 'https://a.:8443/b/c/']) expect(whyNoServerAddress(address)).toBeNull();
  });
});

describe('the entries of a network path', () => {
  it('are tried once each, and the one that was verified first', () => {
    const entries = [entry(), directEntry, entry()];
    expect(inTurn(entries)).toEqual([entry(), directEntry]);
    expect(inTurn(entries, directEntry)).toEqual([directEntry, entry()]);
    expect(inTurn(entries, entry({ proxy: 'http://gone:1' }))).toEqual([entry(), directEntry]);
  });

  it('share the time of one exchange, and the last one has all that is left', () => {
    expect([shareOfTime(20_000, 2), shareOfTime(12_000, 1), shareOfTime(-5, 1)]).toEqual([10_000, 12_000, 1]);
  });

  it('have a name that depends on all of them and on their order', () => {
    const pinned = entry({ ca: { pins: ['ab'.repeat(32)], pem: [] } });
    const paths = [[entry()], [entry(), directEntry], [directEntry, entry()], [pinned], [entry({ noProxy: ['a'] })]];
    expect(new Set(paths.map(networkPathDigest)).size).toBe(paths.length);
    expect(networkPathDigest([entry(), entry({ noProxy: [] })])).toBe(networkPathDigest([entry()]));
  });

  it('are plain where a program that knows no path goes the same way', () => {
    expect(isPlain(directEntry, 'http://a')).toBe(true);
    expect(isPlain(entry(), 'http://a')).toBe(false);
    expect(isPlain(entry({ noProxy: ['a'] }), 'http://a')).toBe(true);
    expect(isPlain({ ...directEntry, ca: { pins: [], pem: ['x'] } }, 'https://a')).toBe(false);
    expect(isPlain({ ...directEntry, ca: { pins: ['x'], pem: [] } }, 'https://a')).toBe(true);
  });

  it('are told of without the password', () => {
    expect(entryWords(entry())).toBe('through http://proxy.site:3128/');
    expect(entryWords(directEntry)).toBe('without a proxy');
  });
});

describe('a host of NO_PROXY', () => {
  it.each([
    ['*', 'http://a', true],
    ['fleet.example', 'https://fleet.example', true],
    ['FLEET.example.', 'https://fleet.example', true],
    ['fleet.example', 'https://fleet.example./x', true],
    ['example', 'https://fleet.example', true],
    ['.example', 'https://fleet.example', true],
    ['*.example', 'https://fleet.example', true],
    ['ample', 'https://fleet.example', false],
    ['fleet.example:443', 'https://fleet.example', true],
    ['fleet.example:80', 'https://fleet.example', false],
    ['fleet.example:8443', 'https://fleet.example:8443', true],
    ['10.0.0.1', 'http://10.0.0.1:8080', true],
    ['::1', 'http://[::1]:8080', true],
    ['[::1]:8080', 'http://[::1]:8080', true],
    ['[::1]:80', 'http://[::1]:8080', false],
  ])('%s means %s: %s', (pattern, address, isMeant) => {
    expect(proxyFor(entry({ noProxy: [pattern] }), address)).toBe(isMeant ? null : proxy);
  });
});
