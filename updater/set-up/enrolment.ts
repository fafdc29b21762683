import type { z } from 'zod';
import { addressBelow } from '../../protocol/address.ts';
import { authorityFeature, authorityOfAddress, authorityUnknownCode } from '../../protocol/authority.ts';
import { problemShape, releasesPath } from '../../protocol/check-in.ts';
import {
  agentProofPayloadType,
  type Claim,
  claimKeyOf,
  claimProofPayloadType,
  type EnrolAnswer,
  type EnrolRequest,
  enrolAnswerShape,
  enrolPath,
  type enrolProofShape,
  vouchPayloadType,
} from '../../protocol/claim.ts';
import { applianceIdOf, keyIdOf } from '../../protocol/ids.ts';
import { type PublicKey, publicKeyOf } from '../../protocol/trust/ed25519.ts';
import { sealEnvelope } from '../../protocol/trust/envelope.ts';
import { type RequestTarget, SignatureError, signRequest, verifyAnswer } from '../../protocol/trust/http-signature.ts';
import { holdfastFields } from '../../protocol/trust/tuf-targets.ts';
import { HttpError } from '../effects/http-error.ts';
import { overPath } from '../effects/over-path.ts';
import { SetUpError } from '../identity/set-up-error.ts';
import { refreshMetadata } from '../release/refresh-metadata.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { installFirstRoot } from '../trust/trust-store.ts';
import { setUpTexts } from '../words/texts.ts';
import { copyOf, type OwnKeys } from './new-identity.ts';
import type { SetUpOrder } from './set-up-order.ts';

/** How set-up asks the server to take this appliance, and which keys it believes. */

const enrolTotalMs = 30_000;
const answerBytesMax = 256 * 1024;

/**
 * Only what one of these keys signed is believed: the key that the claim pinned, or, if the server's key was replaced
 * after the claim was made, those that its release metadata names. The root that the claim pinned vouches for that.
 */
async function keysOfServer(order: SetUpOrder, body: Buffer): Promise<readonly PublicKey[]> {
  const { claim, http, log } = order;
  const parsed = enrolAnswerShape.safeParse(parseJson(body));
  if (!parsed.success) return [];
  const pinned = parsed.data.answerKeys.filter((key) => keyIdOf(Buffer.from(key, 'hex')) === claim.key);
  if (pinned.length > 0) return pinned;
  log(setUpTexts.otherServerKey);
  installFirstRoot(order, Buffer.from(parsed.data.root, 'base64'), claim.root);
  return holdfastFields(await refreshMetadata(order, http, addressBelow(claim.url, releasesPath))).answerKeys;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * What the server said, and the authority that it uses; null: it does not read a signature that covers one, or does not
 * use it.
 */
interface Enrolled {
  readonly answer: EnrolAnswer;
  readonly authority: string | null;
}

/** Tries each entry of the network path in turn: only the signature shows which server answered. */
export function enrol(order: SetUpOrder, keys: OwnKeys): Promise<Enrolled> {
  return overPath(order.http, {
    totalMs: enrolTotalMs,
    work: (http, totalMs) => enrolOver({ ...order, http }, keys, totalMs),
    isUnverified: isNotTheServer,
    by: 'answer',
    log: order.log,
  });
}

/** A refusal by the server itself is the same over every path. */
function isNotTheServer(error: unknown): error is SetUpError | HttpError {
  return error instanceof HttpError || (error instanceof SetUpError && error.code !== 'enrol-refused');
}

/** A secret that is a key signs and is never sent; another kind is for a server that knows no other way. */
function enrolmentOf(claim: Claim, keys: OwnKeys, proof: z.infer<typeof enrolProofShape>): EnrolRequest {
  const { v, appliance, agentKey, updaterKey } = proof;
  const vouch = sealEnvelope(vouchPayloadType, { v, appliance, agentKey }, keys.updater);
  const claimKey = claim.proof === undefined ? null : claimKeyOf(claim.secret);
  if (claimKey === null) return { proto: 1, secret: claim.secret, updaterKey, vouch };
  const claimProof = sealEnvelope(claimProofPayloadType, proof, claimKey);
  const agentProof = sealEnvelope(agentProofPayloadType, proof, keys.agent);
  return { proto: 1, claimKey: publicKeyOf(claimKey), claimProof, agentProof, updaterKey, vouch };
}

/**
 * Signed for the server's authority if the claim says that the server reads that. An older server, put back since, does
 * not: then set-up asks once more without it. That is safe, because a claim is valid at one server only.
 */
async function enrolOver(order: SetUpOrder, keys: OwnKeys, totalMs: number): Promise<Enrolled> {
  const { claim, log } = order;
  const authority = authorityOfAddress(claim.url);
  const named = authority === null ? {} : { authority };
  if (authority === null || !claim.features?.includes(authorityFeature))
    return { answer: await enrolOnce(order, keys, named, undefined, totalMs), authority: null };
  try {
    return { answer: await enrolOnce(order, keys, named, { authority, query: '?' }, totalMs), authority };
  } catch (error) {
    if (!(error instanceof EnrolRefusedError) || !notReadCodes.has(error.problem)) throw error;
    log(setUpTexts.unsignedAuthority(authority, error.problem));
    return { answer: await enrolOnce(order, keys, named, undefined, totalMs), authority: null };
  }
}

/** What a server answers that does not use the authority, and what an older server answers. */
const notReadCodes: ReadonlySet<string> = new Set([authorityUnknownCode, 'signature-wrong']);

async function enrolOnce(
  order: SetUpOrder,
  keys: OwnKeys,
  named: Pick<EnrolRequest, 'authority'>,
  target: RequestTarget | undefined,
  totalMs: number,
): Promise<EnrolAnswer> {
  const { http, claim } = order;
  const updaterKey = publicKeyOf(keys.updater);
  const appliance = applianceIdOf(Buffer.from(updaterKey, 'hex'));
  const former = order.newIdentity ? copyOf(order, keys.updater) : null;
  const copy = former === null ? {} : { copyOf: former };
  const proof = { v: 1 as const, appliance, updaterKey, agentKey: publicKeyOf(keys.agent) };
  const request: EnrolRequest = { ...enrolmentOf(claim, keys, proof), ...copy, ...named };
  const body = Buffer.from(JSON.stringify(request));
  const asked = { method: 'POST', path: enrolPath, target };
  const signed = signRequest({ ...asked, body }, keys.updater);
  const headers = { 'content-type': 'application/json', ...signed };
  const url = addressBelow(claim.url, enrolPath);
  const answer = await http.fetch({ method: 'POST', url, headers, body, totalMs }, answerBytesMax);
  if (answer.status !== 200) throw refusalOf(answer.status, answer.body);
  try {
    const keys = await keysOfServer(order, answer.body);
    verifyAnswer(answer, answer.headers, asked, signed.signature, keys);
  } catch (cause) {
    if (!(cause instanceof SignatureError || cause instanceof ReleaseError)) throw cause;
    throw new SetUpError(
      'server-not-pinned',
      setUpTexts.notTheClaimServer(claim.url),
      setUpTexts.notTheClaimServerNext,
      { cause },
    );
  }
  return enrolAnswerShape.parse(parseJson(answer.body));
}

class EnrolRefusedError extends SetUpError {
  /** The code that the server refused with. */
  readonly problem: string;
  constructor(problem: string, message: string, next: string) {
    super('enrol-refused', message, next);
    this.problem = problem;
  }
}

/** The server's own refusal has its shape; an answer from a proxy or a portal does not. */
function refusalOf(status: number, body: Buffer): SetUpError {
  const problem = problemShape.safeParse(parseJson(body));
  if (problem.success) {
    const { code, message, next } = problem.data;
    return new EnrolRefusedError(code, setUpTexts.claimRefused(message, code), next ?? setUpTexts.claimRefusedNext);
  }
  return new SetUpError(
    'server-not-reached',
    setUpTexts.answeredOnTheWay(status, body.toString('utf8', 0, 200).replaceAll(/\s+/g, ' ')),
    setUpTexts.answeredOnTheWayNext,
  );
}
