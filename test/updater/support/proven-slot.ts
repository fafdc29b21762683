import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../../../protocol/layout.ts';
import type { Installed } from '../../../protocol/state-record.ts';

/** Later than any test runs to: the daily look at every byte does not come. */
const everMs = 1e15;

/** A slot without files that passes the quick look, and was proven in this boot: for tests that are not about slots. */
export function proveSlot(layout: Layout, { slot, version, manifest, securityVersion }: Installed): void {
  const directory = layout.slot('app', slot);
  if (existsSync(directory)) return;
  for (const path of [directory, layout.run]) mkdirSync(path, { recursive: true });
  const nothing = { files: [], links: [], runtime: null, image: null, entry: 'main.js' };
  const state = { reads: { min: 1, max: 1 }, writes: 1 };
  const seal = { format: 1, component: 'app', version, manifest, securityVersion, state, ...nothing };
  writeFileSync(join(directory, '.seal'), JSON.stringify(seal));
  const proven = join(layout.run, 'proven.json');
  if (!existsSync(proven)) writeFileSync(proven, JSON.stringify({ manifest, slot, atMs: everMs }));
}
