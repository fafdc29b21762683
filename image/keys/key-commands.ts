import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { applyChange, planApplication } from '../ceremony/apply-change.ts';
import { isReached, type OpenedChange, quorumsOf, readChange, writeChange } from '../ceremony/change.ts';
import { describeChange, describeSignatures } from '../ceremony/describe-change.ts';
import { writeMetadataBundle } from '../ceremony/metadata-bundle.ts';
import { fieldRoles, rootRoles } from '../ceremony/rotation.ts';
import { partsFor, signChange } from '../ceremony/sign-change.ts';
import { ImageError } from '../errors.ts';
import { readServerKeys } from '../repository-keys.ts';
import { collect, type Print, wholeNumber } from '../terminal.ts';
import { filesOfInit, initKeys, requireNoKeys } from './init-keys.ts';
import { lookAtKey, makeKeyFile, openKey } from './key-file.ts';
import { askNew, passphrasesFrom } from './passphrase.ts';
import { rotateKeys } from './rotate-keys.ts';
import { showKeys, showKeysText } from './show-keys.ts';

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
});
const signShape = z.object({
  ...dryShape.shape,
  passphraseFile: z.string().optional(),
  key: z.array(z.string()).default([]),
  yes: z.boolean().default(false),
});
const showShape = z.object({ repository: z.string(), json: z.boolean().default(false) });
const roleShape = z.enum([...rootRoles, ...fieldRoles]);

/** What the key commands need of the person at the terminal. */
export interface Person {
  readonly print: Print;
  /** @throws ImageError `not-confirmed` unless the answer is yes */
  readonly confirm: (question: string) => Promise<void>;
}

/** `keys init|show|rotate|sign`: the ceremonies of the offline keys, each by files, each with a dry run. */
export function addKeyCommands(program: Command, person: Person): void {
  const keys = program.command('keys').description('the offline keys of the release repository');
  const passphrases = (command: Command) =>
    command
      .option('--passphrase', 'put new keys under a passphrase, asked for on the terminal')
      .option('--passphrase-file <file>', 'its first line is the passphrase (of new keys, and of those that are used)');
  const shared = (command: Command) =>
    command.option('--dry-run', 'say what would be done, and change nothing').option('--json', 'print one JSON object');
  const init = keys.command('init').description('make the first keys of a repository, or one key to be carried');
  shared(passphrases(init))
    .option('--repository <dir>', "the operator's directory, which has no keys yet")
    .option('--server-keys <file>', "the server's public-keys.json")
    .option('--key <file>', 'instead: one key alone, NAME.pem, and NAME.public.json to carry to the repository')
    .action((options) => runInit(person, initShape.parse(options)));
  keys
    .command('show')
    .description('every role: its keys, who has them, how many must sign, and until when')
    .requiredOption('--repository <dir>', "the operator's directory")
    .option('--json', 'print one JSON object')
    .action((options) => runShow(person, showShape.parse(options)));
  const rotate = keys
    .command('rotate')
    .description('write a change of keys to be signed, or put a signed one in place');
  shared(passphrases(rotate))
    .argument('[role]', `${[...rootRoles, ...fieldRoles].join(', ')}; without more, its keys are all replaced by one`)
    .requiredOption('--repository <dir>', "the operator's directory")
    .option('--remove <key-id>', 'the key that goes (8 digits of its id or more); again for more of them', collect)
    .option('--add <file>', 'the .public.json of a key that comes; again for more of them', collect)
    .option(
      '--new',
      'make the key that comes; for answer, snapshot and timestamp: take the one that the server has ready',
    )
    .option('--threshold <number>', 'how many keys of the role must sign', wholeNumber)
    .option('--server-keys <file>', "the server's newest public-keys.json")
    .option('--out <file>', 'where the change is written (else into the repository)')
    .option('--apply <file>', 'put this change in place, once enough keys have signed it')
    .action((role, options) => runRotate(person, role, rotateShape.parse(options)));
  const sign = keys
    .command('sign')
    .description('read a change, and sign it with keys that need not be in a repository');
  shared(sign)
    .argument('<file>', 'the change, as keys rotate or a build wrote it')
    .option('--key <file>', 'a private key; again for more of them', collect)
    .option('--passphrase-file <file>', 'its first line is the passphrase of the keys')
    .option('--yes', 'sign without asking')
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
    if (existsSync(path)) throw new ImageError('keys-exist', `${path} is there already`, 'take another name');
    if (!dryRun) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await makeKeyFile(path, await newPassphrase(options));
    }
    const next = `carry ${path.replace(/pem$/, 'public.json')} to the repository: keys rotate ROLE --add FILE`;
    return person.print(json, { dryRun, files: [path] }, `${dryRun ? 'would make' : 'made'} ${path}\nnext: ${next}`);
  }
  if (repository === undefined || serverKeys === undefined) {
    const next = 'give --repository DIR and --server-keys FILE, or --key FILE for one key alone';
    throw new ImageError('rotation-invalid', 'it is not said what to make', next);
  }
  const dir = resolve(repository);
  await requireNoKeys(dir);
  const opened = { dir, serverKeys: await readServerKeys(serverKeys), now: () => new Date() };
  const files = filesOfInit(dir);
  if (!dryRun) await initKeys(opened, await newPassphrase(options));
  const lines = files.map((path) => `${dryRun ? 'would make' : 'made'} ${path}`);
  const advice =
    'next: move root-2.pem and root-3.pem, each with its public part, to two other safe places; one root key alone makes nothing';
  person.print(json, { dryRun, files }, [...lines, advice].join('\n'));
}

async function runShow(person: Person, { repository, json }: z.infer<typeof showShape>): Promise<void> {
  const shown = await showKeys(resolve(repository));
  person.print(json, shown, showKeysText(shown));
}

/** What a person reads of a change, and a program. */
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
    now: new Date(),
  });
  const { text, facts } = told(change);
  const made = newKey === null ? [] : [`${dryRun ? 'would make' : 'made'} the key ${newKey}`];
  const idle = dryRun && newKey !== null ? ['(a new key has another id each time)'] : [];
  const here = wouldSign.map((key) => `may sign, and is here: ${key}`);
  const next = facts.isComplete
    ? `next: keys rotate --repository ${dir} --apply ${path}`
    : `next: carry it to who holds those keys (keys sign FILE --key KEYFILE), then keys rotate --repository ${dir} --apply FILE`;
  const lines = [
    text,
    ...idle,
    ...here,
    ...made,
    `${dryRun ? 'would write' : 'wrote'} ${path}`,
    ...(dryRun ? [] : [next]),
  ];
  person.print(json, { dryRun, path, newKey, wouldSign, ...facts }, lines.join('\n'));
}

async function runApply(person: Person, dir: string, path: string, options: z.infer<typeof dryShape>): Promise<void> {
  const { json, dryRun } = options;
  const change = await readChange(path);
  const { text, facts } = told(change);
  const applied = dryRun ? await planApplication(dir, change) : await applyChange(dir, change);
  const { outcome } = applied;
  const bundle = dryRun ? null : await writeMetadataBundle(dir, applied.metadata);
  const done = outcome === 'unchanged' ? 'it is in place already' : dryRun ? 'would be put in place' : 'it is in place';
  const next =
    bundle === null ? [] : [`next, so that the server and the appliances know: holdfast release publish ${bundle}`];
  person.print(json, { dryRun, outcome, bundle, ...facts }, [text, done, ...next].join('\n'));
}

async function runSign(person: Person, file: string, options: z.infer<typeof signShape>): Promise<void> {
  const { json, dryRun, yes } = options;
  const path = resolve(file);
  const change = await readChange(path);
  const keys = await Promise.all(options.key.map((each) => lookAtKey(resolve(each))));
  if (keys.length === 0 && !dryRun) {
    throw new ImageError('key-missing', 'no key is given', 'give --key FILE, or --dry-run to read the change only');
  }
  const before = told(change);
  const willSign = keys.map((held) => {
    const parts = held.publicKey === null ? null : partsFor(change, { publicKey: held.publicKey });
    return `${held.path} ${parts === null ? 'is under a passphrase, and its public part is not there' : `signs ${parts.join(' and ') || 'nothing of this'}`}`;
  });
  if (dryRun)
    return person.print(json, { dryRun, path, ...before.facts, willSign }, [before.text, ...willSign].join('\n'));
  // Before a key is opened: whoever signs has read what.
  if (!yes) {
    process.stderr.write(`${[before.text, ...willSign].join('\n')}\n`);
    await person.confirm('sign this? yes or no: ');
  }
  const passphrases = passphrasesFrom(options.passphraseFile);
  const pairs = [];
  for (const held of keys) pairs.push(await openKey(held, passphrases));
  const signed = signChange(change, pairs);
  await writeChange(path, signed);
  const after = told(signed);
  const next = after.facts.isComplete
    ? 'next: carry it back, and there: keys rotate --repository DIR --apply FILE'
    : 'next: carry it to the next who holds a key';
  person.print(json, { dryRun, path, ...after.facts }, [after.text, `wrote ${path}`, next].join('\n'));
}
