import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { printable } from '../../protocol/printable.ts';
import { ImageError } from '../errors.ts';
import { filesOfInit } from '../keys/init-keys.ts';
import { lookAtKey, makeKeyFile, openKey } from '../keys/key-file.ts';
import { askNew, passphrasesFrom } from '../keys/passphrase.ts';
import { beginRepository, requireNoKeys } from '../repository.ts';
import { readServerKeys } from '../repository-keys.ts';
import { readSigned } from '../repository-metadata.ts';
import { clockOption } from '../repository-options.ts';
import { requireSigningTime } from '../signing-time.ts';
import { collect, type Print, wholeNumber } from '../terminal.ts';
import { ceremonyTexts } from '../texts.ts';
import { applyChange, planApplication } from './apply-change.ts';
import { isReached, type OpenedChange, quorumsOf, readChange, writeChange } from './change.ts';
import { describeChange, describeSignatures } from './describe-change.ts';
import { writeMetadataBundle } from './metadata-bundle.ts';
import { rotateKeys } from './rotate-keys.ts';
import { fieldRoles, rootRoles } from './rotation.ts';
import { showKeys, showKeysText } from './show-keys.ts';
import { partsFor, signChange } from './sign-change.ts';

const passphraseShape = z.object({ passphrase: z.boolean().default(false), passphraseFile: z.string().optional() });
const dryShape = z.object({ dryRun: z.boolean().default(false), json: z.boolean().default(false) });
const initShape = z.object({
  ...passphraseShape.shape,
  ...dryShape.shape,
  repository: z.string().optional(),
  serverKeys: z.string().optional(),
  key: z.string().optional(),
});
const rotateShape = z.object({
  ...passphraseShape.shape,
  ...dryShape.shape,
  repository: z.string(),
  serverKeys: z.string().optional(),
  apply: z.string().optional(),
  out: z.string().optional(),
  remove: z.array(z.string()).default([]),
  add: z.array(z.string()).default([]),
  new: z.boolean().default(false),
  threshold: z.int().optional(),
  clockIsRight: z.boolean().default(false),
});
const signShape = z.object({
  ...dryShape.shape,
  passphraseFile: z.string().optional(),
  key: z.array(z.string()).default([]),
  yes: z.boolean().default(false),
});
const showShape = z.object({ repository: z.string(), json: z.boolean().default(false) });
const roleShape = z.enum([...rootRoles, ...fieldRoles]);

/** What the key commands need from the person at the terminal. */
export interface Person {
  readonly print: Print;
  /** @throws ImageError `not-confirmed` unless the answer is yes */
  readonly confirm: (question: string) => Promise<void>;
}

/** `keys init|show|rotate|sign`: the ceremonies of the offline keys, by means of files; each has a dry run. */
export function addKeyCommands(program: Command, person: Person): void {
  const keys = program.command('keys').description(ceremonyTexts.keys);
  const passphrases = (command: Command) =>
    command
      .option('--passphrase', ceremonyTexts.passphrase)
      .option('--passphrase-file <file>', ceremonyTexts.passphraseFileOfInit);
  const shared = (command: Command) =>
    command.option('--dry-run', ceremonyTexts.dryRun).option('--json', ceremonyTexts.json);
  const init = keys.command('init').description(ceremonyTexts.init);
  shared(passphrases(init))
    .option('--repository <dir>', ceremonyTexts.initRepository)
    .option('--server-keys <file>', ceremonyTexts.serverKeys)
    .option('--key <file>', ceremonyTexts.initKey)
    .action((options) => runInit(person, initShape.parse(options)));
  keys
    .command('show')
    .description(ceremonyTexts.show)
    .requiredOption('--repository <dir>', ceremonyTexts.operatorDirectory)
    .option('--json', ceremonyTexts.json)
    .action((options) => runShow(person, showShape.parse(options)));
  const rotate = keys.command('rotate').description(ceremonyTexts.rotate);
  shared(passphrases(rotate))
    .argument('[role]', ceremonyTexts.rotateRole([...rootRoles, ...fieldRoles].join(', ')))
    .requiredOption('--repository <dir>', ceremonyTexts.operatorDirectory)
    .option('--remove <key-id>', ceremonyTexts.rotateRemove, collect)
    .option('--add <file>', ceremonyTexts.rotateAdd, collect)
    .option('--new', ceremonyTexts.rotateNew)
    .option('--threshold <number>', ceremonyTexts.rotateThreshold, wholeNumber)
    .option('--server-keys <file>', ceremonyTexts.rotateServerKeys)
    .option('--out <file>', ceremonyTexts.rotateOut)
    .option('--apply <file>', ceremonyTexts.rotateApply)
    .addOption(clockOption())
    .action((role, options) => runRotate(person, role, rotateShape.parse(options)));
  const sign = keys.command('sign').description(ceremonyTexts.sign);
  shared(sign)
    .argument('<file>', ceremonyTexts.signFile)
    .option('--key <file>', ceremonyTexts.signKey, collect)
    .option('--passphrase-file <file>', ceremonyTexts.signPassphraseFile)
    .option('--yes', ceremonyTexts.signYes)
    .action((file, options) => runSign(person, file, signShape.parse(options)));
}

type Passphrases = z.infer<typeof passphraseShape>;

async function newPassphrase({ passphrase, passphraseFile }: Passphrases): Promise<string | null> {
  if (!passphrase && passphraseFile === undefined) return null;
  return askNew(passphrasesFrom(passphraseFile), passphraseFile === undefined);
}

async function runInit(person: Person, options: z.infer<typeof initShape>): Promise<void> {
  const { json, dryRun, key, repository, serverKeys } = options;
  if (key !== undefined) {
    const path = resolve(key);
    if (existsSync(path))
      throw new ImageError('keys-exist', ceremonyTexts.keyExists(path), ceremonyTexts.keyExistsNext);
    if (!dryRun) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await makeKeyFile(path, await newPassphrase(options));
    }
    const next = ceremonyTexts.carryKeyNext(path.replace(/pem$/, 'public.json'));
    return person.print(json, { dryRun, files: [path] }, ceremonyTexts.madeKeyFile(path, next, dryRun));
  }
  if (repository === undefined || serverKeys === undefined) {
    throw new ImageError('rotation-invalid', ceremonyTexts.nothingToMake, ceremonyTexts.nothingToMakeNext);
  }
  const dir = resolve(repository);
  await requireNoKeys(dir);
  const opened = { dir, serverKeys: await readServerKeys(serverKeys), now: () => new Date() };
  const files = filesOfInit(dir);
  if (!dryRun) await beginRepository(opened, await newPassphrase(options));
  const lines = files.map((path) => ceremonyTexts.made(path, dryRun));
  person.print(json, { dryRun, files }, [...lines, ceremonyTexts.rootKeysNext].join('\n'));
}

async function runShow(person: Person, { repository, json }: z.infer<typeof showShape>): Promise<void> {
  const shown = await showKeys(resolve(repository));
  person.print(json, shown, showKeysText(shown));
}

/** A change as text for a person, and as a value for a program. */
function told(change: OpenedChange) {
  const description = describeChange(change);
  const signatures = describeSignatures(change);
  const isComplete = quorumsOf(change).every(isReached);
  return { text: [...description, ...signatures].join('\n'), facts: { description, signatures, isComplete } };
}

async function runRotate(
  person: Person,
  role: string | undefined,
  options: z.infer<typeof rotateShape>,
): Promise<void> {
  const { json, dryRun } = options;
  const dir = resolve(options.repository);
  if (options.apply !== undefined) return runApply(person, dir, resolve(options.apply), options);
  const now = new Date();
  if (!options.clockIsRight) requireSigningTime((await readSigned(dir)).trusted, now);
  const { change, path, newKey, wouldSign } = await rotateKeys({
    dir,
    role: roleShape.parse(role),
    remove: options.remove,
    add: options.add.map((file) => resolve(file)),
    isNew: options.new,
    threshold: options.threshold ?? null,
    serverKeys: options.serverKeys === undefined ? null : await readServerKeys(options.serverKeys),
    out: options.out === undefined ? null : resolve(options.out),
    passphrases: passphrasesFrom(options.passphraseFile),
    newPassphrase: () => newPassphrase(options),
    isDry: dryRun,
    now,
  });
  const { text, facts } = told(change);
  const made = newKey === null ? [] : [ceremonyTexts.madeKey(newKey, dryRun)];
  const idle = dryRun && newKey !== null ? [ceremonyTexts.otherIdEachTime] : [];
  const here = wouldSign.map((key) => ceremonyTexts.maySign(key));
  const next = facts.isComplete ? ceremonyTexts.applyNext(dir, path) : ceremonyTexts.carryChangeNext(dir);
  const lines = [text, ...idle, ...here, ...made, ceremonyTexts.wrote(path, dryRun), ...(dryRun ? [] : [next])];
  person.print(json, { dryRun, path, newKey, wouldSign, ...facts }, lines.join('\n'));
}

async function runApply(person: Person, dir: string, path: string, options: z.infer<typeof dryShape>): Promise<void> {
  const { json, dryRun } = options;
  const change = await readChange(path);
  const { text, facts } = told(change);
  const applied = dryRun ? await planApplication(dir, change) : await applyChange(dir, change);
  const { outcome } = applied;
  const bundle = dryRun ? null : await writeMetadataBundle(dir, applied.metadata);
  const done =
    outcome === 'unchanged'
      ? ceremonyTexts.inPlaceAlready
      : dryRun
        ? ceremonyTexts.wouldBeInPlace
        : ceremonyTexts.inPlace;
  const next = bundle === null ? [] : [ceremonyTexts.publishNext(bundle)];
  person.print(json, { dryRun, outcome, bundle, ...facts }, [text, done, ...next].join('\n'));
}

async function runSign(person: Person, file: string, options: z.infer<typeof signShape>): Promise<void> {
  const { json, dryRun, yes } = options;
  const path = resolve(file);
  const change = await readChange(path);
  const keys = await Promise.all(options.key.map((each) => lookAtKey(resolve(each))));
  if (keys.length === 0 && !dryRun) {
    throw new ImageError('key-missing', ceremonyTexts.noKey, ceremonyTexts.noKeyNext);
  }
  const before = told(change);
  const willSign = keys.map((held) => {
    const parts = held.publicKey === null ? null : partsFor(change, { publicKey: held.publicKey });
    return `${held.path} ${parts === null ? ceremonyTexts.keySealed : ceremonyTexts.signs(parts)}`;
  });
  if (dryRun)
    return person.print(json, { dryRun, path, ...before.facts, willSign }, [before.text, ...willSign].join('\n'));
  // Before a key is opened: the signer has read what it says.
  if (!yes) {
    process.stderr.write(printable(`${[before.text, ...willSign].join('\n')}\n`));
    await person.confirm(ceremonyTexts.confirm);
  }
  const passphrases = passphrasesFrom(options.passphraseFile);
  const pairs = [];
  for (const held of keys) pairs.push(await openKey(held, passphrases));
  const signed = signChange(change, pairs);
  await writeChange(path, signed);
  const after = told(signed);
  const next = after.facts.isComplete ? ceremonyTexts.carryBackNext : ceremonyTexts.carryOnNext;
  person.print(json, { dryRun, path, ...after.facts }, [after.text, ceremonyTexts.wrote(path, false), next].join('\n'));
}
