import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Sources } from '../protocol/sources.ts';
import { writeMetadataBundle } from './ceremony/metadata-bundle.ts';
import { changeSources, requireRepository } from './repository.ts';
import {
  dryShape,
  openFrom,
  placeOf,
  repositoryShape,
  signableIn,
  withRepository,
  withSigning,
} from './repository-options.ts';
import { nextSources, signedSources } from './signed-sources.ts';
import type { Print } from './terminal.ts';
import { commandTexts } from './texts.ts';

const commandShape = repositoryShape.extend(dryShape.shape);

/**
 * `sources show|set|clear`: where appliances may get releases from besides the server, as the signed targets name it.
 */
export function addSourcesCommands(program: Command, print: Print): void {
  const sources = program.command('sources').description(commandTexts.sources);
  withRepository(sources.command('show').description(commandTexts.sourcesShow)).action((options) =>
    show(options, print),
  );
  withSigning(sources.command('set <file>').description(commandTexts.sourcesSet))
    .option('--dry-run', commandTexts.sourcesDryRun)
    .action((file, options) => change(resolve(file), options, print));
  withSigning(sources.command('clear').description(commandTexts.sourcesClear))
    .option('--dry-run', commandTexts.sourcesDryRun)
    .action((options) => change(null, options, print));
}

async function show(raw: unknown, print: Print): Promise<void> {
  const { json, ...options } = commandShape.parse(raw);
  const named = signedSources(await requireRepository(await placeOf(options)));
  print(json, { sources: named }, named === null ? commandTexts.noSourcesSigned : told(named));
}

async function change(file: string | null, raw: unknown, print: Print): Promise<void> {
  const { json, dryRun, ...options } = commandShape.parse(raw);
  if (dryRun) {
    const next = await nextSources(signedSources(await signableIn(options)), file);
    return print(json, { dryRun, sources: next, bundle: null }, commandTexts.sourcesWouldBeSigned(told(next)));
  }
  const repository = await openFrom(options);
  let signed: Sources | null = null;
  const metadata = await changeSources(repository, async (known) => {
    signed = await nextSources(known, file);
    return signed;
  });
  const bundle = await writeMetadataBundle(repository.dir, metadata);
  const next = commandTexts.sourcesTaken(bundle);
  print(json, { dryRun, sources: signed, bundle }, commandTexts.sourcesSigned(next));
}

function told({ seq, releases, proxy, ca, rateBytesPerS }: Sources): string {
  const list = releases.map(({ name, kind, url }) => `${kind} ${name} ${url}`);
  return [
    commandTexts.sourcesNumber(seq),
    commandTexts.sourcesReleases([...list, commandTexts.theServer].join(', ')),
    commandTexts.sourcesProxy(proxy === null ? commandTexts.noProxy : new URL(proxy).host),
    commandTexts.sourcesKeys(ca.pins.length, ca.pem.length),
    commandTexts.sourcesRate(rateBytesPerS === null ? commandTexts.noLimit : commandTexts.bytesASecond(rateBytesPerS)),
  ].join('; ');
}
