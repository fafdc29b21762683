import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256 } from '../../../protocol/digest.ts';
import type { Layout } from '../../../protocol/layout.ts';
import { type Seal, sealName } from '../../../protocol/seal.ts';
import { digestOf } from './states.ts';

interface Slot {
  readonly version: string;
  readonly manifest?: string;
  readonly runtime?: Seal['runtime'];
  readonly state?: Seal['state'];
}

function seal(
  directory: string,
  files: Readonly<Record<string, string>>,
  rest: Omit<Seal, 'format' | 'files' | 'links' | 'image'>,
): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const listed = Object.entries(files).map(([path, text]) => ({
    path,
    size: Buffer.byteLength(text),
    sha256: sha256(text),
    executable: false,
  }));
  const whole: Seal = { format: 1, links: [], image: null, ...rest, files: listed };
  writeFileSync(join(directory, sealName), JSON.stringify(whole));
}

/** A small slot as an installation leaves it. */
export function sealedSlot(layout: Layout, component: 'app' | 'updater', name: string, slot: Slot): string {
  const directory = layout.slot(component, name);
  const files = { 'main.js': `// ${slot.version}`, 'lib/work.js': '// work' };
  seal(directory, files, {
    component,
    version: slot.version,
    manifest: slot.manifest ?? digestOf('a'),
    securityVersion: 1,
    entry: 'main.js',
    runtime: slot.runtime ?? null,
    state: slot.state ?? { reads: { min: 1, max: 1 }, writes: 1 },
  });
  return directory;
}

/** A shared runtime as the first release that needs it leaves it. */
export function sealedRuntime(layout: Layout, digest: string): NonNullable<Seal['runtime']> {
  const runtime = { digest, entry: 'bin/node' };
  seal(
    layout.runtime(digest),
    { 'bin/node': '#!/bin/false' },
    {
      component: 'runtime',
      version: '',
      manifest: digestOf('a'),
      securityVersion: 0,
      entry: 'bin/node',
      runtime,
      state: { reads: { min: 0, max: 0 }, writes: 0 },
    },
  );
  return runtime;
}
