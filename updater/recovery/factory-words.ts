import type { Layout } from '../../protocol/layout.ts';
import type { Files } from '../effects/files.ts';
import { launchable } from '../record/quick-look.ts';
import { recoveryTexts } from '../words/texts.ts';

/** What runs where launch would start the factory agent. Checked as launch checks it: a damaged one is not started. */
export function factoryWords({ files, layout }: { readonly files: Files; readonly layout: Layout }): string {
  return launchable(files, layout, 'app', 'factory') === null ? noAgentRuns : factoryRuns;
}

export const factoryRuns = recoveryTexts.factoryRuns;
export const noAgentRuns = recoveryTexts.noAgentRuns;
