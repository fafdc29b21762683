import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Layout, layoutOf } from '../../../protocol/layout.ts';

/** The directories of an appliance in a real temporary directory, which goes with the test. */
export function temporaryAppliance(): Layout {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const layout = layoutOf(root);
  for (const path of [layout.updater, layout.agent, layout.agentRun, layout.launched, layout.snapshots, layout.work]) {
    mkdirSync(path, { recursive: true });
  }
  return layout;
}
