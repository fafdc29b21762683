import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { generateKeyPair, publicKeyOf, verifyBytes } from '../../../protocol/trust/ed25519.ts';
import {
  claimedKeyId,
  claimsTarget,
  contentDigest,
  type SignatureHeaders,
  signAnswer,
  signatureBase,
  signRequest,
  verifyAnswer,
  verifyRequest,
} from '../../../protocol/trust/http-signature.ts';
import { readExample } from '../examples.ts';

const appliance = generateKeyPair();
const server = generateKeyPair();
const stranger = generateKeyPair();
const body = Buffer.from('{"seq":1}');
const request = { method: 'POST', path: '/v1/checkin', body };
const signed = signRequest(request, appliance.privateKey);
const answer = { status: 200, body: Buffer.from('{"etag":"e"}') };
const answered = signAnswer(answer, request, signed.signature, server.privateKey);

function codeOf(run: () => void): unknown {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}

describe('the signature base', () => {
  it('is that of RFC 9421 appendix B.2.6, and so is the signature over it', () => {
    const params =
      '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"';
    const base = signatureBase(
      [
        ['"date"', 'Tue, 20 Apr 2021 02:07:55 GMT'],
        ['"@method"', 'POST'],
        ['"@path"', '/foo'],
        ['"@authority"', 'example.com'],
        ['"content-type"', 'application/json'],
        ['"content-length"', '18'],
      ],
      params,
    );
    const published = 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==';
    // Appendix B.1.4, the published test key.
    const key = createPrivateKey({
      key: Buffer.from('MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF', 'base64'),
      format: 'der',
      type: 'pkcs8',
    });
    expect(verifyBytes(base, Buffer.from(published, 'base64'), publicKeyOf(key))).toBe(true);
  });

  it('has the content digest of RFC 9530', () => {
    // RFC 9530 appendix D: the SHA-256 of `{"hello": "world"}` and a line feed.
    expect(contentDigest(Buffer.from('{"hello": "world"}\n'))).toBe(
      'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:',
    );
  });
});

describe('a signed request', () => {
  it('is accepted under its key', () => {
    expect(claimedKeyId(signed)).toMatch(/^[0-9a-f]{64}$/);
    expect(codeOf(() => verifyRequest(request, signed, appliance.publicKey))).toBe('accepted');
  });

  it('stays verifiable for ever', () => {
    const frozen = z
      .object({
        method: z.string(),
        path: z.string(),
        body: z.string(),
        headers: z.record(z.string(), z.string()),
        publicKey: z.string(),
      })
      .parse(readExample('http-request.check-in'));
    const parts = { ...frozen, body: Buffer.from(frozen.body) };
    expect(codeOf(() => verifyRequest(parts, frozen.headers, frozen.publicKey))).toBe('accepted');
  });

  const other = Buffer.from('{"seq":2}');
  const parameters = signed['signature-input'];
  const tampered: readonly (readonly [string, string, Partial<typeof request>, SignatureHeaders])[] = [
    ['another body', 'digest-mismatch', { body: other }, {}],
    ['another body with its digest', 'signature-wrong', { body: other }, { 'content-digest': contentDigest(other) }],
    ['another method', 'signature-wrong', { method: 'PUT' }, {}],
    ['another path', 'signature-wrong', { path: '/v1/enrol' }, {}],
    [
      'the signature of another request',
      'signature-wrong',
      {},
      { signature: signRequest({ ...request, path: '/x' }, appliance.privateKey).signature },
    ],
    ['no signature', 'signature-missing', {}, { signature: undefined }],
    ['no signature-input', 'signature-missing', {}, { 'signature-input': undefined }],
    ['no content-digest', 'signature-missing', {}, { 'content-digest': undefined }],
    ['a repeated signature', 'signature-malformed', {}, { signature: [signed.signature, signed.signature] }],
    ['a repeated signature-input', 'signature-malformed', {}, { 'signature-input': [parameters, parameters] }],
    [
      'a repeated content-digest',
      'signature-malformed',
      {},
      { 'content-digest': [signed['content-digest'], signed['content-digest']] },
    ],
    [
      'a signature that a proxy joined',
      'signature-malformed',
      {},
      { signature: `${signed.signature}, ${signed.signature}` },
    ],
    ['a second signature beside it', 'signature-malformed', {}, { 'signature-input': `${parameters}, x=("@method")` }],
    ['another label', 'signature-malformed', {}, { 'signature-input': parameters.replace('hf=', 'sig1=') }],
    ['fewer components', 'signature-malformed', {}, { 'signature-input': parameters.replace(' "content-digest"', '') }],
    [
      'components in another order',
      'signature-malformed',
      {},
      { 'signature-input': parameters.replace('"@method" "@path"', '"@path" "@method"') },
    ],
    [
      'another algorithm',
      'signature-malformed',
      {},
      { 'signature-input': parameters.replace('ed25519', 'hmac-sha256') },
    ],
    ['a created parameter', 'signature-malformed', {}, { 'signature-input': `${parameters};created=1` }],
    ['a signature that is too short', 'signature-malformed', {}, { signature: 'hf=:AAAA:' }],
    ['a digest by another algorithm', 'digest-mismatch', {}, { 'content-digest': 'sha-512=:AAAA:' }],
  ];

  it.each(tampered)('with %s is refused as %s', (_, code, parts, headers) => {
    const run = (): void => verifyRequest({ ...request, ...parts }, { ...signed, ...headers }, appliance.publicKey);
    expect(codeOf(run)).toBe(code);
  });

  it('by a key that nobody registered is refused as key-unknown', () => {
    expect(codeOf(() => verifyRequest(request, signed, undefined))).toBe('key-unknown');
    expect(codeOf(() => verifyRequest(request, signed, stranger.publicKey))).toBe('key-unknown');
  });

  it('is not accepted with any one character of its headers changed', () => {
    const header = fc.constantFrom<keyof typeof signed>('content-digest', 'signature-input', 'signature');
    fc.assert(
      fc.property(header, fc.nat(), fc.constantFrom('A', 'b', '0', ';', ' '), (name, seed, character) => {
        const value = signed[name];
        const at = seed % value.length;
        const changed = value.slice(0, at) + character + value.slice(at + 1);
        // The last character of a signature carries two bits that no byte uses.
        fc.pre(changed !== value && !(name === 'signature' && at === value.length - 4));
        expect(codeOf(() => verifyRequest(request, { ...signed, [name]: changed }, appliance.publicKey))).not.toBe(
          'accepted',
        );
      }),
    );
  });

  it('claims no key when its headers are odd', () => {
    expect(claimedKeyId({})).toBeNull();
    expect(claimedKeyId({ 'signature-input': ['a', 'b'] })).toBeNull();
    expect(claimedKeyId({ 'signature-input': 'hf=();keyid="../../etc"' })).toBeNull();
  });
});

describe('a request that is signed with its target', () => {
  const target = { authority: 'fleet.example:8443', query: '?' };
  const whole = { ...request, target };
  const signedWhole = signRequest(whole, appliance.privateKey);
  const verify = (parts: Partial<typeof whole>, headers: SignatureHeaders = {}): unknown =>
    codeOf(() => verifyRequest({ ...whole, ...parts }, { ...signedWhole, ...headers }, appliance.publicKey));

  it('is accepted, and says so before it is verified', () => {
    expect(verify({})).toBe('accepted');
    expect([claimsTarget(signedWhole), claimsTarget(signed), claimsTarget({})]).toEqual([true, false, false]);
    expect(claimedKeyId(signedWhole)).toBe(claimedKeyId(signed));
  });

  it('covers each of its parts', () => {
    expect(verify({ target: { ...target, authority: 'fleet.example' } })).toBe('signature-wrong');
    expect(verify({ target: { ...target, query: '?a=1' } })).toBe('signature-wrong');
    expect(verify({ path: '/v1/enrol' })).toBe('signature-wrong');
    expect(verify({ method: 'PUT' })).toBe('signature-wrong');
    expect(verify({ body: Buffer.from('{}') })).toBe('digest-mismatch');
  });

  it('is not one of the first profile, nor the other way round', () => {
    expect(codeOf(() => verifyRequest(request, signedWhole, appliance.publicKey))).toBe('signature-malformed');
    expect(codeOf(() => verifyRequest(whole, signed, appliance.publicKey))).toBe('signature-malformed');
    const input = signedWhole['signature-input'];
    for (const other of [input.replace(';tag="holdfast-2"', ''), input.replace('holdfast-2', 'holdfast-3')])
      expect(verify({}, { 'signature-input': other })).toBe('signature-malformed');
  });

  it('is answered in its own profile, bound to its target', () => {
    const reply = signAnswer(answer, whole, signedWhole.signature, server.privateKey);
    const check = (to: Parameters<typeof verifyAnswer>[2]): unknown =>
      codeOf(() => verifyAnswer(answer, reply, to, signedWhole.signature, [server.publicKey]));
    expect(check(whole)).toBe('accepted');
    expect(check({ ...whole, target: { ...target, authority: 'other.example' } })).toBe('signature-wrong');
    expect(check({ ...whole, target: { ...target, query: '?a' } })).toBe('signature-wrong');
    expect(check(request)).toBe('signature-malformed');
  });

  it('stays verifiable for ever, and so does its answer', () => {
    const shape = {
      method: z.string(),
      path: z.string(),
      target: z.object({ authority: z.string(), query: z.string() }),
    };
    const common = { body: z.string(), headers: z.record(z.string(), z.string()), publicKey: z.string() };
    const asked = z.object({ ...shape, ...common }).parse(readExample('http-request.target'));
    const parts = { ...asked, body: Buffer.from(asked.body) };
    expect(codeOf(() => verifyRequest(parts, asked.headers, asked.publicKey))).toBe('accepted');
    const got = z
      .object({ ...common, status: z.int(), request: z.object({ ...shape, signature: z.string() }) })
      .parse(readExample('http-answer.target'));
    const reply = { status: got.status, body: Buffer.from(got.body) };
    const run = () => verifyAnswer(reply, got.headers, got.request, got.request.signature, [got.publicKey]);
    expect(codeOf(run)).toBe('accepted');
  });
});

describe('a signed answer', () => {
  const keys = [stranger.publicKey, server.publicKey];
  const check = (parts: Partial<typeof answer>, to: Partial<typeof request>, signature: string): unknown =>
    codeOf(() => verifyAnswer({ ...answer, ...parts }, answered, { ...request, ...to }, signature, keys));

  it('is accepted under one of the known keys', () => {
    expect(check({}, {}, signed.signature)).toBe('accepted');
  });

  it('stays verifiable for ever', () => {
    const frozen = z
      .object({
        status: z.int(),
        body: z.string(),
        headers: z.record(z.string(), z.string()),
        request: z.object({ method: z.string(), path: z.string(), signature: z.string() }),
        publicKey: z.string(),
      })
      .parse(readExample('http-answer.check-in'));
    const parts = { status: frozen.status, body: Buffer.from(frozen.body) };
    const run = (): void =>
      verifyAnswer(parts, frozen.headers, frozen.request, frozen.request.signature, [frozen.publicKey]);
    expect(codeOf(run)).toBe('accepted');
  });

  it('is bound to its request: that of another one is refused', () => {
    const later = signRequest({ ...request, body: Buffer.from('{"seq":2}') }, appliance.privateKey);
    expect(check({}, {}, later.signature)).toBe('signature-wrong');
    expect(check({}, { path: '/v1/enrol' }, signed.signature)).toBe('signature-wrong');
    expect(check({}, { method: 'PUT' }, signed.signature)).toBe('signature-wrong');
  });

  it('is refused with another status or body', () => {
    expect(check({ status: 410 }, {}, signed.signature)).toBe('signature-wrong');
    expect(check({ body: Buffer.from('{}') }, {}, signed.signature)).toBe('digest-mismatch');
  });

  it('is refused by a key that nobody pinned', () => {
    const run = (): void => verifyAnswer(answer, answered, request, signed.signature, [stranger.publicKey]);
    expect(codeOf(run)).toBe('key-unknown');
    expect(codeOf(() => verifyAnswer(answer, answered, request, signed.signature, []))).toBe('key-unknown');
  });

  it('is not made of a request: the two profiles do not mix', () => {
    const run = (): void =>
      verifyAnswer({ status: 200, body }, signed, request, signed.signature, [appliance.publicKey]);
    expect(codeOf(run)).toBe('signature-malformed');
    expect(codeOf(() => verifyRequest(request, answered, server.publicKey))).toBe('signature-malformed');
  });
});
