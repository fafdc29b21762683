import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** The payload that the bill describes. */
interface Described {
  readonly component: string;
  readonly version: string;
  readonly commit: string;
}

const packageShape = z.object({ name: z.string(), version: z.string() });

/** The package directories of bundled inputs, relative to the source tree, without duplicates. */
export function packageDirectories(inputs: readonly string[]): readonly string[] {
  const pattern = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;
  return [...new Set(inputs.flatMap((input) => pattern.exec(input)?.[1] ?? []))];
}

/**
 * The contents of a payload (CycloneDX 1.6), without date and serial number, so that equal payloads have equal bills.
 */
export async function billOfMaterials(
  sourceDir: string,
  packages: readonly string[],
  release: Described,
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
