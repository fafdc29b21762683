import type { Command } from 'commander';
import { type PublicationView, publicationShape, type ReleaseView, releaseListShape } from '../operator/shapes.ts';
import { addImageCommand } from './image-program.ts';
import type { Desk } from './program.ts';
import { table } from './table.ts';

export function addReleaseCommands(program: Command, desk: Desk): void {
  const release = program.command('release').description('Signed releases').enablePositionalOptions();
  release
    .command('publish')
    .description('Upload a bundle, or metadata alone; the server verifies all of it before it publishes anything')
    .argument('<file>', 'the .hfb file')
    .option('--dry-run', 'the server verifies it and publishes nothing')
    .action(async (file: string, { dryRun }: { dryRun?: boolean }) => {
      const path = dryRun ? '/api/releases?run=dry' : '/api/releases';
      desk.show(await desk.api().upload(path, file, publicationShape), publicationText);
    });
  release
    .command('list')
    .description('What is published, newest version first')
    .action(async () => {
      const { releases } = await desk.api().get('/api/releases', releaseListShape);
      desk.show(releases, releasesText);
    });
  const does = {
    build: 'Build one release, try its start, sign it, write its bundle',
    revoke: 'Take a release off the signed list, and write what the server is to know',
    sources: 'Name where appliances may get releases from: show, set FILE, clear',
    verify: 'Check a bundle as a server and an appliance do, and say what it is',
  };
  for (const [name, text] of Object.entries(does)) addImageCommand(release, desk, name, [name], text);
}

function publicationText({ outcome, run, release, metadata, withdrawn }: PublicationView): string {
  const { root, targets } = metadata;
  const isNew = outcome === 'published';
  const state = {
    real: isNew ? 'is published' : 'was published before; nothing changed',
    dry: isNew ? 'would be published: all of it is right' : 'was published before; nothing would change',
  }[run];
  const what =
    release === null
      ? `The release metadata (root ${root}, targets ${targets}) ${state}.`
      : `${release.component} ${release.version} ${state} (manifest ${release.manifest.slice(0, 12)}).`;
  const gone = withdrawn.map((name) => `${name} ${run === 'dry' ? 'would be' : 'is'} withdrawn: nobody is offered it.`);
  return [what, ...gone].join('\n');
}

function releasesText(releases: readonly ReleaseView[]): string {
  if (releases.length === 0) return 'Nothing is published. Next: holdfast release publish FILE';
  const rows = releases.map((one) => [
    one.component,
    one.version,
    one.manifest.slice(0, 12),
    `${(one.bundleBytes / 1e6).toFixed(1)} MB`,
    one.withdrawn ? 'withdrawn' : `published ${new Date(one.publishedAtMs).toISOString().slice(0, 16)}Z`,
  ]);
  return table(['COMPONENT', 'VERSION', 'MANIFEST', 'SIZE', 'STATE'], rows);
}
