import type { Command } from 'commander';
import { publicationShape, type ReleaseView, releaseListShape } from '../operator/shapes.ts';
import type { Desk } from './program.ts';
import { table } from './table.ts';

export function addReleaseCommands(program: Command, desk: Desk): void {
  const release = program.command('release').description('Signed releases');
  release
    .command('publish')
    .description('Upload a bundle; the server verifies all of it before it publishes anything')
    .argument('<file>', 'the .hfb file')
    .action(async (file: string) => {
      const publication = await desk.api().upload('/api/releases', file, publicationShape);
      const { component, version, manifest } = publication.release;
      const text = publication.outcome === 'published' ? 'is published' : 'was published before; nothing changed';
      desk.show(publication, () => `${component} ${version} ${text} (manifest ${manifest.slice(0, 12)}).`);
    });
  release
    .command('list')
    .description('What is published, newest version first')
    .action(async () => {
      const { releases } = await desk.api().get('/api/releases', releaseListShape);
      desk.show(releases, releasesText);
    });
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
