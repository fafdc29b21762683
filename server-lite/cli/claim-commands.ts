import type { Command } from 'commander';
import { claimAnswerShape, type OpenClaimView, openClaimListShape } from '../operator/shapes.ts';
import { ageText } from '../rules/words.ts';
import { cliApplianceTexts, cliTexts } from '../texts.ts';
import type { Desk } from './desk.ts';
import { writeSecret } from './profile.ts';
import { table } from './table.ts';

export function addClaimCommands(program: Command, desk: Desk): void {
  const claim = program.command('claim').description(cliApplianceTexts.claim);
  claim
    .command('create')
    .description(cliApplianceTexts.claimCreate)
    .requiredOption('--name <name>', cliApplianceTexts.claimName)
    .option('--site <site>', cliApplianceTexts.claimSite)
    .option('--again', cliApplianceTexts.claimAgain)
    .option('--out <file>', cliApplianceTexts.claimOut)
    .action(async ({ out, ...asked }: { name: string; site?: string; again?: boolean; out?: string }) => {
      const create = async () => {
        const made = await desk.api().post('/api/claims', asked, claimAnswerShape);
        // On standard error: a pipe may carry the code.
        if (made.replaced) desk.note(cliApplianceTexts.claimReplaced(made.name));
        return made;
      };
      if (out === undefined) return desk.show(await create(), (one) => one.claim);
      let replaced = false;
      await writeSecret(out, async () => {
        const made = await create();
        replaced = made.replaced;
        return `${made.claim}\n`;
      });
      desk.show({ out, replaced }, () => cliApplianceTexts.claimWritten(asked.name, out));
    });
  claim
    .command('list')
    .description(cliApplianceTexts.claimList)
    .action(async () => {
      const { claims } = await desk.api().get('/api/claims', openClaimListShape);
      desk.show(claims, claimsText);
    });
}

function claimsText(claims: readonly OpenClaimView[]): string {
  if (claims.length === 0) return cliApplianceTexts.noClaim;
  const rows = claims.map(({ name, site, ageMs, validForMs, again }) => [
    name,
    site,
    again ? cliApplianceTexts.claimIsAgain : cliApplianceTexts.claimIsNew,
    cliTexts.ago(ageText(ageMs)),
    cliApplianceTexts.endsIn(ageText(validForMs)),
  ]);
  return table(cliApplianceTexts.claimColumns, rows);
}
