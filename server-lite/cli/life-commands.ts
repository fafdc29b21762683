import type { Command } from 'commander';
import type { z } from 'zod';
import { type ApplianceView, applianceViewShape, retiredShape } from '../operator/shapes.ts';
import { cliApplianceTexts, cliTexts } from '../texts.ts';
import type { Desk } from './desk.ts';
import { wrapped } from './table.ts';

/** What an operator does with a whole appliance. */
export function addLifeCommands(appliance: Command, desk: Desk): void {
  appliance
    .command('clone-solved')
    .description(cliApplianceTexts.cloneSolved)
    .argument('<appliance>', cliTexts.applianceArgument)
    .action(async (name: string) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/clone-solved`;
      const view = await desk.api().post(path, {}, applianceViewShape);
      desk.show(view, () => cliApplianceTexts.cloneWasSolved(view.name));
    });
  appliance
    .command('retire')
    .description(cliApplianceTexts.retire)
    .argument('<appliance>', cliTexts.applianceArgument)
    .action(async (name: string) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/retire`;
      desk.show(await desk.api().post(path, {}, retiredShape), retiredText);
    });
  appliance
    .command('rename')
    .description(cliApplianceTexts.rename)
    .argument('<appliance>', cliTexts.applianceArgument)
    .argument('<new-name>', cliApplianceTexts.renameName)
    .option('--site <site>', cliApplianceTexts.renameSite)
    .action(async (name: string, newName: string, options: { site?: string }) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/rename`;
      const view = await desk.api().post(path, { name: newName, ...options }, applianceViewShape);
      desk.show(view, renamedText);
    });
}

function retiredText({ name, id, already }: z.infer<typeof retiredShape>): string {
  return wrapped(already ? cliApplianceTexts.wasRetired(name, id) : cliApplianceTexts.retired(name, id));
}

function renamedText({ name, site }: ApplianceView): string {
  return wrapped(cliApplianceTexts.renamed(name, site));
}
