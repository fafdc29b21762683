import { dirname, join } from 'node:path';
import { releasesPath } from '../protocol/check-in.ts';
import {
  type Claim,
  type EnrolAnswer,
  type EnrolRequest,
  encodeClaim,
  enrolAnswerShape,
  enrolPath,
  vouchPayloadType,
} from '../protocol/claim.ts';
import { sha256 } from '../protocol/digest.ts';
import { applianceIdOf, keyIdOf } from '../protocol/ids.ts';
import type { Layout } from '../protocol/layout.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { type PublicKey, privateKeyToPem, publicKeyOf } from '../protocol/trust/ed25519.ts';
import { sealEnvelope } from '../protocol/trust/envelope.ts';
import { SignatureError, signRequest, verifyAnswer } from '../protocol/trust/http-signature.ts';
import { holdfastFields } from '../protocol/trust/tuf-targets.ts';
import { readFile, replaceFile, replaceJson } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import type { Http } from './effects/http.ts';
import { identityShape } from './identity.ts';
import { ownKey } from './own-key.ts';
import { makePin } from './page/pin.ts';
import { firstSettings, makeDirectories } from './partition.ts';
import { createRecordFiles, knownRecord, readRecord, writeRecord } from './record-store.ts';
import { keepRecovered, recoveredState } from './recover-state.ts';
import { noDevices } from './release/device-slots.ts';
import { refreshMetadata } from './release/refresh-metadata.ts';
import { ReleaseError } from './release/release-error.ts';
import { resolveFromFile } from './release/resolve-release.ts';
import { installFirstRoot } from './release/trust-store.ts';
import { verifyInstalled } from './release/verify-slot.ts';
import { sealSlot, writeSlot } from './release/write-slot.ts';
import { SetUpError } from './set-up-error.ts';
import type { User } from './settings.ts';
import { firstState } from './state-store.ts';

/** From an empty data partition to a claimed appliance. Repeating it finishes what was cut off and changes nothing else. */

export interface SetUpOrder {
  readonly files: Files;
  readonly http: Http;
  readonly layout: Layout;
  readonly claim: Claim;
  /** The directory with the bundles that the operating system's image brings: app-*.hfb and updater-*.hfb. */
  readonly factory: string;
  readonly version: string;
  log(line: string): void;
}

export interface SetUpResult {
  readonly appliance: string;
  readonly name: string;
  readonly app: string;
  readonly updater: string;
  /** Shown once; only its scrypt hash is kept. null: there is one already. */
  readonly pin: string | null;
}

const enrolTotalMs = 30_000;
const answerBytesMax = 256 * 1024;

/**
 * Only what one of these signed is believed: the key that the claim pinned, or, where the server's key was replaced since
 * the claim was made, those that its release metadata names. The root that the claim pinned vouches for that.
 */
async function keysOfServer(order: SetUpOrder, body: Buffer): Promise<readonly PublicKey[]> {
  const { claim, http, log } = order;
  const parsed = enrolAnswerShape.safeParse(parseJson(body));
  if (!parsed.success) return [];
  const pinned = parsed.data.answerKeys.filter((key) => keyIdOf(Buffer.from(key, 'hex')) === claim.key);
  if (pinned.length > 0) return pinned;
  log('the server has another key than when this claim was made; its release metadata is asked');
  installFirstRoot(order, Buffer.from(parsed.data.root, 'base64'), claim.root);
  return holdfastFields(await refreshMetadata(order, http, `${claim.url.replace(/\/$/, '')}${releasesPath}`))
    .answerKeys;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

async function enrol(
  order: SetUpOrder,
  keys: { updater: ReturnType<typeof ownKey>; agent: ReturnType<typeof ownKey> },
): Promise<EnrolAnswer> {
  const { http, claim } = order;
  const updaterKey = publicKeyOf(keys.updater);
  const appliance = applianceIdOf(Buffer.from(updaterKey, 'hex'));
  const vouch = sealEnvelope(vouchPayloadType, { v: 1, appliance, agentKey: publicKeyOf(keys.agent) }, keys.updater);
  const request: EnrolRequest = { proto: 1, secret: claim.secret, updaterKey, vouch };
  const body = Buffer.from(JSON.stringify(request));
  const signed = signRequest({ method: 'POST', path: enrolPath, body }, keys.updater);
  const headers = { 'content-type': 'application/json', ...signed };
  const url = new URL(enrolPath, claim.url).href;
  const answer = await http.fetch({ method: 'POST', url, headers, body, totalMs: enrolTotalMs }, answerBytesMax);
  if (answer.status !== 200) {
    const text = answer.body.toString('utf8').slice(0, 300);
    throw new SetUpError(
      'enrol-refused',
      `the server refused the claim (${answer.status}): ${text}`,
      'Make a new claim code on the server.',
    );
  }
  try {
    const keys = await keysOfServer(order, answer.body);
    verifyAnswer(answer, answer.headers, { method: 'POST', path: enrolPath }, signed.signature, keys);
  } catch (cause) {
    if (!(cause instanceof SignatureError || cause instanceof ReleaseError)) throw cause;
    throw new SetUpError(
      'server-not-pinned',
      `what answers at ${claim.url} is not the server of the claim code`,
      'Check the address, and that no proxy is in between.',
      { cause },
    );
  }
  return enrolAnswerShape.parse(parseJson(answer.body));
}

async function installFactory(order: SetUpOrder, component: 'app' | 'updater'): Promise<Manifest & { digest: string }> {
  const { files, layout, factory } = order;
  const name = files.list(factory).find((file) => file.startsWith(`${component}-`) && file.endsWith('.hfb'));
  if (name === undefined) {
    throw new SetUpError(
      'factory-missing',
      `${factory} holds no bundle of ${component}`,
      'Use the directory that came with the image.',
    );
  }
  const acceptance = {
    floor: { app: 0, updater: 0 },
    isQuarantined: () => false,
    writesOs: false,
    updater: order.version,
    installed: { app: null, updater: null, os: null },
    hardware: null,
  };
  const { manifest, manifestBytes, manifestDigest, bundle } = await resolveFromFile(
    order,
    join(factory, name),
    acceptance,
  );
  try {
    if (!verifyInstalled(files, layout, component, 'factory', manifestDigest).sound) {
      const place = { files, layout, tx: 0, slot: 'factory', devices: noDevices, bundle } as const;
      const slot = { ...place, manifest, manifestBytes };
      writeSlot(slot);
      sealSlot(slot);
    }
    return { ...manifest, digest: manifestDigest };
  } finally {
    bundle.source.close();
    files.removeTree(join(layout.work, '0'));
  }
}

function writeCredentials(order: SetUpOrder, answer: EnrolAnswer, agentKeyPem: string, agentUser: User | null): void {
  const { files, layout, claim } = order;
  const credentials = {
    appliance: answer.appliance,
    url: claim.url,
    answerKeys: answer.answerKeys,
    privateKey: agentKeyPem,
  };
  replaceFile(files, layout.agentCredentials, Buffer.from(JSON.stringify(credentials)), 0o600, agentUser ?? undefined);
  if (files.stat(layout.agentSettings) === null) {
    replaceFile(
      files,
      layout.agentSettings,
      Buffer.from(`${JSON.stringify({ site_name: answer.site })}\n`),
      0o600,
      agentUser ?? undefined,
    );
  }
}

/** @returns the PIN, when there was none yet */
function setPin(files: Files, layout: Layout, pageUser: User | null): string | null {
  if (files.stat(layout.pin) !== null) return null;
  const { pin, record } = makePin();
  replaceFile(files, layout.pin, Buffer.from(JSON.stringify(record)), 0o600, pageUser ?? undefined);
  return pin;
}

/** @throws SetUpError, and what fetching and verifying the factory bundles throws */
export async function setUp(order: SetUpOrder): Promise<SetUpResult> {
  const { files, layout, claim, log } = order;
  refuseOtherOwner(files, layout, claim);
  const settings = firstSettings(files, layout);
  makeDirectories(files, layout, settings.agentUser, settings.pageUser);
  const keys = { updater: ownKey(files, layout.identityKey), agent: ownKey(files, layout.agentKey) };
  const answer = await enrol(order, keys);
  log(`claimed as ${answer.name} (${answer.appliance})`);
  installFirstRoot(order, Buffer.from(answer.root, 'base64'), claim.root);
  const app = await installFactory(order, 'app');
  const updater = await installFactory(order, 'updater');
  log(`factory: app ${app.version}, updater ${updater.version}`);
  writeCredentials(order, answer, privateKeyToPem(keys.agent), settings.agentUser);
  const pin = setPin(files, layout, settings.pageUser);
  for (const records of [layout.stateRecords, layout.launchRecords]) createRecordFiles(files, records, layout.updater);
  const installed = ({ version, digest, securityVersion }: typeof app) => ({
    version,
    manifest: digest,
    securityVersion,
  });
  if (readRecord(files, layout.launchRecords) === null)
    writeRecord(files, layout.launchRecords, 1, { app: null, updater: null });
  // An appliance that has lost its records is not a new one: its slots tell.
  if (knownRecord(files, layout.stateRecords) === null) {
    keepRecovered(
      files,
      layout,
      recoveredState(files, layout) ?? { state: firstState(installed(app), installed(updater)), seq: 0 },
    );
  }
  const { appliance, name, site, answerKeys } = answer;
  // Last: an appliance with an identity is set up whole.
  const claimDigest = sha256(encodeClaim(claim));
  replaceJson(
    files,
    layout.identity,
    {
      ...identityShape.parse({ appliance, name, site, url: claim.url, answerKeys, rootDigest: claim.root }),
      claim: claimDigest,
    },
    0o600,
  );
  files.syncDirectory(dirname(layout.identity));
  return { appliance, name, app: app.version, updater: updater.version, pin };
}

/** A device with data belongs to somebody: another claim does not take it over (S45). */
function refuseOtherOwner(files: Files, layout: Layout, claim: Claim): void {
  const bytes = readFile(files, layout.identity, 16_384);
  if (bytes === null) return;
  const identity = identityShape.parse(JSON.parse(bytes.toString('utf8')));
  if (identity.rootDigest === claim.root) return;
  throw new SetUpError(
    'already-claimed',
    `this appliance belongs to ${identity.url} as ${identity.name}`,
    'Retire it there first, or use an empty data partition.',
  );
}
