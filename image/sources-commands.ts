import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Sources } from '../protocol/sources.ts';
import { writeMetadataBundle } from './ceremony/metadata-bundle.ts';
import { changeSources, requireRepository } from './repository.ts';
import { dryShape, openFrom, placeOf, repositoryShape, withRepository } from './repository-options.ts';
import { nextSources, signedSources } from './signed-sources.ts';
import type { Print } from './terminal.ts';

const commandShape = repositoryShape.extend(dryShape.shape);

/** `sources show|set|clear`: where appliances may get releases from beside the server, as the signed targets name it. */
export function addSourcesCommands(program: Command, print: Print): void {
  const sources = program.command('sources').description('where appliances may get releases from, beside the server');
  withRepository(sources.command('show').description('what the signed targets name')).action((options) =>
    show(options, print),
  );
  withRepository(sources.command('set <file>').description('sign the sources of a JSON file'))
    .option('--dry-run', 'say what would be signed, and change nothing')
    .action((file, options) => change(resolve(file), options, print));
  withRepository(sources.command('clear').description('sign that there is the server alone'))
    .option('--dry-run', 'say what would be signed, and change nothing')
    .action((options) => change(null, options, print));
}

async function show(raw: unknown, print: Print): Promise<void> {
  const { json, ...options } = commandShape.parse(raw);
  const named = signedSources(await requireRepository(await placeOf(options)));
  print(json, { sources: named }, named === null ? 'none are signed: appliances keep what they have' : told(named));
}

async function change(file: string | null, raw: unknown, print: Print): Promise<void> {
  const { json, dryRun, ...options } = commandShape.parse(raw);
  if (dryRun) {
    const next = await nextSources(signedSources(await requireRepository(await placeOf(options))), file);
    return print(json, { dryRun, sources: next, bundle: null }, `would be signed: ${told(next)}`);
  }
  const repository = await openFrom(options);
  let signed: Sources | null = null;
  const metadata = await changeSources(repository, async (known) => {
    signed = await nextSources(known, file);
    return signed;
  });
  const bundle = await writeMetadataBundle(repository.dir, metadata);
  const next = `Appliances take it once the server has it: holdfast release publish ${bundle}`;
  print(json, { dryRun, sources: signed, bundle }, `signed. ${next}`);
}

function told({ seq, releases, proxy, ca, rateBytesPerS }: Sources): string {
  const list = releases.map(({ name, kind, url }) => `${kind} ${name} ${url}`);
  return [
    `number ${seq}`,
    `releases from: ${[...list, 'the server'].join(', ')}`,
    `proxy: ${proxy === null ? 'none' : new URL(proxy).host}`,
    `keys: ${ca.pins.length} pinned, ${ca.pem.length} authorities`,
    `rate: ${rateBytesPerS === null ? 'no limit' : `${rateBytesPerS} bytes a second`}`,
  ].join('; ');
}
