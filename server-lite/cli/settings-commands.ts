import type { Command } from 'commander';
import { agentSettingsShape } from '../../protocol/agent-settings.ts';
import { type ExplainedField, explainFields } from '../../protocol/settings-fields.ts';
import { cliTexts } from '../texts.ts';
import { CliError } from './cli-error.ts';
import type { Desk } from './desk.ts';

/** `holdfast settings`: what an appliance's agent.json may say. */
export function addSettingsCommands(program: Command, desk: Desk): void {
  const settings = program.command('settings').description(cliTexts.settings);
  settings
    .command('explain')
    .description(cliTexts.settingsExplain)
    .argument('[field]', cliTexts.settingsField)
    .option('--markdown', cliTexts.settingsMarkdown)
    .action((field: string | undefined, { markdown }: { readonly markdown?: boolean }) => {
      const fields = chosen(field);
      desk.show(fields, () => (markdown === true ? table(fields) : fields.map(paragraph).join('\n')));
    });
}

function chosen(field: string | undefined): ExplainedField[] {
  const fields = explainFields(agentSettingsShape);
  if (field === undefined) return fields;
  const found = fields.filter(({ path }) => path === field || path.startsWith(`${field}.`));
  if (found.length > 0) return found;
  const names = fields.map(({ path }) => path).join(', ');
  throw new CliError('setting-unknown', cliTexts.settingUnknown(field), cliTexts.settingUnknownNext(names));
}

function paragraph({ path, takes, standard, text }: ExplainedField): string {
  return `${path}: ${takes}; standard ${standard}\n    ${text}`;
}

function table(fields: readonly ExplainedField[]): string {
  const rows = fields.map(
    ({ path, takes, standard, text }) => `| \`${path}\` | ${takes} | \`${standard}\` | ${text} |`,
  );
  return [cliTexts.settingsColumns, '|---|---|---|---|', ...rows].join('\n');
}
