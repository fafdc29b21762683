import { basename, dirname, join } from 'node:path';
import { type EnrolAnswer, encodeClaim } from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { RecordError } from '../../protocol/record.ts';
import { privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { replaceFile, replaceJson } from '../effects/durable.ts';
import { withDirectory } from '../effects/held-directory.ts';
import { keepCredentials } from '../identity/agent-keys.ts';
import { identityShape } from '../identity/identity.ts';
import { refuseOtherOwner } from '../identity/other-owner.ts';
import { ownKey } from '../identity/own-key.ts';
import { SetUpError } from '../identity/set-up-error.ts';
import { misspelt, type User } from '../identity/settings.ts';
import { createRecordFiles, knownRecord, readRecord, writeRecord } from '../record/record-store.ts';
import { firstState, loadState, StateError } from '../record/state-store.ts';
import { keepRecovered, recoveredState } from '../recovery/recover-state.ts';
import { noDevices } from '../release/device-slots.ts';
import { resolveFromFile } from '../release/resolve-release.ts';
import { verifyInstalled } from '../release/verify-slot.ts';
import { sealSlot, writeSlot } from '../release/write-slot.ts';
import { keepKnownAuthority } from '../server/known-authority.ts';
import { publishPath } from '../server/publish-path.ts';
import { settleSetUpPath } from '../trust/sources.ts';
import { settleTrust } from '../trust/trust-begins.ts';
import { installFirstRoot } from '../trust/trust-store.ts';
import { setUpTexts } from '../words/texts.ts';
import { enrol } from './enrolment.ts';
import { putKeysInPlace, waitingKeys } from './new-identity.ts';
import { firstSettings, makeDirectories } from './partition.ts';
import { setPin } from './set-pin.ts';
import type { SetUpOrder } from './set-up-order.ts';

/**
 * From an empty data partition to a claimed appliance. Repeating it finishes what was cut off and changes nothing else.
 */

export interface SetUpResult {
  readonly appliance: string;
  readonly name: string;
  /** The versions that run. */
  readonly app: string;
  readonly updater: string;
  /** Shown once; only its scrypt hash is kept. null: there already is one. */
  readonly pin: string | null;
}

/** @throws SetUpError `factory-missing` */
function requireFactory({ files, factory }: SetUpOrder, component: 'app' | 'updater'): string {
  const name = files.list(factory).find((file) => file.startsWith(`${component}-`) && file.endsWith('.hfb'));
  if (name !== undefined) return join(factory, name);
  const message = setUpTexts.noFactoryBundle(factory, component);
  throw new SetUpError('factory-missing', message, setUpTexts.noFactoryBundleNext);
}

async function installFactory(order: SetUpOrder, component: 'app' | 'updater'): Promise<Manifest & { digest: string }> {
  const { files, layout } = order;
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
    requireFactory(order, component),
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
  const { appliance, answerKeys, site } = answer;
  const credentials = { appliance, url: claim.url, answerKeys, privateKey: agentKeyPem };
  withDirectory(files, layout.agent, agentUser, (agent) => {
    keepCredentials({ files, layout, agentUser }, agent, credentials, true);
    const name = basename(layout.agentSettings);
    if (agent.stat(name) !== null) return;
    const settings = Buffer.from(`${JSON.stringify({ site_name: site })}\n`);
    replaceFile(files, agent.at(name), settings, 0o600, agentUser ?? undefined);
  });
}

/** @throws SetUpError, and what fetching and verifying the factory bundles throws */
export async function setUp(order: SetUpOrder): Promise<SetUpResult> {
  const { files, layout, claim, log } = order;
  refuseOtherOwner(files, layout, claim);
  // Before the claim is used up: its trust is needed to read them, but not to see that they are there.
  for (const component of ['app', 'updater'] as const) requireFactory(order, component);
  const settings = firstSettings(files, layout);
  const notice = misspelt(files, layout);
  if (notice !== null) log(notice);
  makeDirectories(order, settings);
  const keys = order.newIdentity
    ? waitingKeys(order)
    : { updater: ownKey(files, layout.identityKey), agent: ownKey(files, layout.agentKey) };
  const { answer, authority } = await enrol(order, keys);
  log(setUpTexts.claimedAs(answer.name, answer.appliance));
  if (order.newIdentity) putKeysInPlace(order);
  const answered = order.answeredOver?.() ?? null;
  if (answered !== null) settleSetUpPath(order, answered);
  publishPath({ ...order, settings });
  installFirstRoot(order, Buffer.from(answer.root, 'base64'), claim.root);
  await settleTrust({ files, layout, pinned: claim.root });
  const app = await installFactory(order, 'app');
  const updater = await installFactory(order, 'updater');
  log(setUpTexts.factory(app.version, updater.version));
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
  // An appliance that has lost its records is not a new one: its slots say what is installed.
  if (knownRecord(files, layout.stateRecords) === null) {
    keepRecovered(
      files,
      layout,
      recoveredState(files, layout) ?? { state: firstState(installed(app), installed(updater)), seq: 0 },
    );
  }
  keepKnownAuthority(order, authority);
  const { appliance, name, site, answerKeys } = answer;
  // Last: an appliance with an identity is completely set up.
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
  // A new claim is a new start: a retired appliance, which the server told to wait a day, asks at once.
  files.unlink(join(layout.run, 'last-answer.json'));
  return { appliance, name, ...whatRuns(order, app, updater), pin };
}

/** A claim of an appliance that was set up before changes nothing of what it runs, which is seldom factory. */
export function whatRuns(
  { files, layout }: Pick<SetUpOrder, 'files' | 'layout'>,
  app: Pick<Manifest, 'version'>,
  updater: Pick<Manifest, 'version'>,
): Pick<SetUpResult, 'app' | 'updater'> {
  try {
    const state = loadState(files, layout);
    return { app: state.app.committed.version, updater: state.updater.committed.version };
  } catch (error) {
    if (!(error instanceof StateError || error instanceof RecordError)) throw error;
    return { app: app.version, updater: updater.version };
  }
}
