import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Release } from './emit.ts';

const packageShape = z.object({ name: z.string(), version: z.string() });

/** The package directories, relative to the source tree, that bundled inputs came from, each once. */
export function packageDirectories(inputs: readonly string[]): readonly string[] {
  const pattern = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;
  return [...new Set(inputs.flatMap((input) => pattern.exec(input)?.[1] ?? []))];
}

/** What is inside a payload (CycloneDX 1.6), without a date or a serial number, so that the same payload has the same one. */
export async function billOfMaterials(
  sourceDir: string,
  packages: readonly string[],
  release: Release,
): Promise<Buffer> {
  const components = new Map<string, object>();
  for (const directory of packages) {
    const text = await readFile(join(sourceDir, directory, 'package.json'), 'utf8');
    const { name, version } = packageShape.parse(JSON.parse(text));
    // Package URL specification: the scope's @ is percent-encoded.
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    components.set(purl, { type: 'library', 'bom-ref': purl, name, version, purl });
  }
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: { type: 'application', name: `holdfast-${release.component}`, version: release.version },
      properties: [{ name: 'holdfast:commit', value: release.commit }],
    },
    components: [...components].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component),
  };
  return Buffer.from(`${JSON.stringify(document, null, 2)}\n`);
}
