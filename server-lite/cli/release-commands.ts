import type { Command } from 'commander';
import { type PublicationView, publicationShape, type ReleaseView, releaseListShape } from '../operator/shapes.ts';
import { cliReleaseTexts } from '../texts.ts';
import type { Desk } from './desk.ts';
import { addImageCommand } from './image-program.ts';
import { table } from './table.ts';

export function addReleaseCommands(program: Command, desk: Desk): void {
  const release = program.command('release').description(cliReleaseTexts.release).enablePositionalOptions();
  release
    .command('publish')
    .description(cliReleaseTexts.publish)
    .argument('<file>', cliReleaseTexts.publishFile)
    .option('--dry-run', cliReleaseTexts.publishDryRun)
    .action(async (file: string, { dryRun }: { dryRun?: boolean }) => {
      const path = dryRun ? '/api/releases?run=dry' : '/api/releases';
      desk.show(await desk.api().upload(path, file, publicationShape), publicationText);
    });
  release
    .command('list')
    .description(cliReleaseTexts.list)
    .action(async () => {
      const { releases } = await desk.api().get('/api/releases', releaseListShape);
      desk.show(releases, releasesText);
    });
  const does = {
    build: cliReleaseTexts.build,
    revoke: cliReleaseTexts.revoke,
    sources: cliReleaseTexts.sources,
    verify: cliReleaseTexts.verify,
  };
  for (const [name, text] of Object.entries(does)) addImageCommand(release, desk, name, [name], text);
}

function publicationText({ outcome, run, release, metadata, withdrawn }: PublicationView): string {
  const { root, targets } = metadata;
  const state = cliReleaseTexts.state[run][outcome];
  const what =
    release === null
      ? cliReleaseTexts.metadata(root, targets, state)
      : cliReleaseTexts.published(release.component, release.version, state, release.manifest.slice(0, 12));
  const gone = withdrawn.map((name) => cliReleaseTexts.withdrawn(name, run === 'dry'));
  return [what, ...gone].join('\n');
}

function releasesText(releases: readonly ReleaseView[]): string {
  if (releases.length === 0) return cliReleaseTexts.nothingPublished;
  const rows = releases.map((one) => [
    one.component,
    one.version,
    one.manifest.slice(0, 12),
    cliReleaseTexts.megabytes((one.bundleBytes / 1e6).toFixed(1)),
    stateOf(one),
  ]);
  return table(cliReleaseTexts.columns, rows);
}

function stateOf({ trouble, withdrawn, publishedAtMs, failedOn }: ReleaseView): string {
  if (trouble !== null) return trouble;
  if (withdrawn) return cliReleaseTexts.isWithdrawn;
  return cliReleaseTexts.publishedAt(new Date(publishedAtMs).toISOString().slice(0, 16), failedOn);
}
