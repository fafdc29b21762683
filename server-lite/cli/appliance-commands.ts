import type { Command } from 'commander';
import { ageText, reasonsText } from '../fleet/words.ts';
import { type ApplianceView, applianceListShape, applianceViewShape, claimAnswerShape } from '../operator/shapes.ts';
import type { Desk } from './program.ts';
import { below, list, table } from './table.ts';

export function addApplianceCommands(program: Command, desk: Desk): void {
  const fleet = program
    .command('fleet')
    .description('All appliances, and the releases that were chosen for single ones');
  fleet
    .command('list', { isDefault: true })
    .description('All appliances: what they run, when they were last heard from, and why')
    .action(async () => {
      const { appliances } = await desk.api().get('/api/appliances', applianceListShape);
      desk.show(appliances, fleetText);
    });
  addAssignmentCommands(fleet, desk);
  const appliance = program.command('appliance').description('One appliance');
  appliance
    .command('show')
    .description('Everything that is known of one appliance')
    .argument('<appliance>', 'name or id, in any form')
    .action(async (name: string) => {
      const view = await desk.api().get(`/api/appliances/${encodeURIComponent(name)}`, applianceViewShape);
      desk.show(view, applianceText);
    });
  program
    .command('claim')
    .description('Claim codes, by which appliances enrol')
    .command('create')
    .description('Make a claim code for one appliance; it can be used once')
    .requiredOption('--name <name>', 'what the appliance will be called')
    .requiredOption('--site <site>', 'where it will be')
    .action(async ({ name, site }: { name: string; site: string }) => {
      const claim = await desk.api().post('/api/claims', { name, site }, claimAnswerShape);
      desk.show(claim, () => claim.claim);
    });
}

function addAssignmentCommands(fleet: Command, desk: Desk): void {
  const component = ['--component <component>', 'app, updater or os', 'app'] as const;
  fleet
    .command('assign')
    .description('Choose a published release for one appliance; rollouts pass it by until it is unassigned')
    .argument('<appliance>', 'name or id, in any form')
    .argument('<version>', 'a version that is published, newer or older than what it has')
    .option(...component)
    .action(async (name: string, version: string, options: { component: string }) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/assign`;
      const view = await desk.api().post(path, { version, component: options.component }, applianceViewShape);
      desk.show(view, assignmentText);
    });
  fleet
    .command('unassign')
    .description('Let one appliance follow the rollouts again')
    .argument('<appliance>', 'name or id, in any form')
    .option(...component)
    .action(async (name: string, options: { component: string }) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/unassign`;
      desk.show(await desk.api().post(path, { component: options.component }, applianceViewShape), assignmentText);
    });
}

function assignmentText(view: ApplianceView): string {
  const what = view.assigned.length === 0 ? 'follows the rollouts' : `is assigned ${view.assigned.join(', ')}`;
  return `${view.name} ${what}. ${reasonsText(view.reasons)}`;
}

function versionOf(view: ApplianceView, component: string): string {
  return view.versions[component]?.version ?? '-';
}

function seen(last: ApplianceView['checkIns']['agent']): string {
  return last === null ? 'never' : `${ageText(last.ageS * 1000)} ago`;
}

function fleetText(appliances: readonly ApplianceView[]): string {
  if (appliances.length === 0) return 'No appliance is enrolled. Next: holdfast claim create --name NAME --site SITE';
  const rows = appliances.map((one) => [
    one.name,
    one.state,
    versionOf(one, 'app'),
    versionOf(one, 'updater'),
    seen(one.checkIns.agent),
    seen(one.checkIns.updater),
  ]);
  const [heading = '', ...lines] = table(
    ['NAME', 'STATE', 'AGENT', 'UPDATER', 'AGENT SEEN', 'UPDATER SEEN'],
    rows,
  ).split('\n');
  const texts = appliances.map((one) => {
    const why = one.why.startsWith(one.sentence) ? one.why : `${one.sentence}. ${one.why}`;
    return below(one.alert === null || why.includes(one.alert) ? why : `${why} ALERT: ${one.alert}`);
  });
  return [heading, ...lines.flatMap((line, index) => [line, texts[index] ?? ''])].join('\n');
}

function applianceText(view: ApplianceView): string {
  const checks = Object.entries(view.checks).map(([name, status]) => `${name} ${status}`);
  const crash = view.lastCrash === null ? 'none' : `${view.lastCrash.text}\n${view.lastCrash.output}`;
  const failed = view.failedTrial;
  const trial =
    failed === null ? 'none since the last commit' : [failed.text, ...failed.lines, failed.output].join('\n').trim();
  return list([
    ['name', view.name],
    ['id', view.id],
    ['site', view.site],
    ['state', `${view.state}: ${view.sentence}`],
    ['why', view.why],
    ['alert', view.alert ?? 'none'],
    ['clock', view.clock ?? 'no trouble is known'],
    ['assigned', view.assigned.join(', ') || 'nothing: it follows the rollouts'],
    ['agent', `${versionOf(view, 'app')}, last check-in ${seen(view.checkIns.agent)}`],
    ['updater', `${versionOf(view, 'updater')}, last check-in ${seen(view.checkIns.updater)}`],
    ['row', view.row ?? 'unknown'],
    ['checks', checks.join(', ') || 'unknown'],
    ['last crash', crash],
    ['failed trial', trial],
    ['quarantine', view.quarantine.map((digest) => digest.slice(0, 12)).join(', ') || 'empty'],
  ]);
}
