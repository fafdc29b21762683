import type { Command } from 'commander';
import {
  type ApplianceView,
  applianceListShape,
  applianceViewShape,
  counterResetShape,
  serverViewShape,
} from '../operator/shapes.ts';
import { ageText, beyond, reasonsText } from '../rules/words.ts';
import { cliApplianceTexts, cliTexts } from '../texts.ts';
import { addClaimCommands } from './claim-commands.ts';
import { defaultOf } from './default-command.ts';
import type { Desk } from './desk.ts';
import { addLifeCommands } from './life-commands.ts';
import { below, list, table, wrapped } from './table.ts';

export function addApplianceCommands(program: Command, desk: Desk): void {
  const fleet = program.command('fleet').description(cliApplianceTexts.fleet);
  defaultOf(fleet, 'list')
    .description(cliApplianceTexts.list)
    .option('--all', cliApplianceTexts.listAll)
    .action(async ({ all }: { all?: boolean }) => {
      const { appliances } = await desk.api().get('/api/appliances', applianceListShape);
      const { notices } = await desk.api().get('/api/server', serverViewShape);
      const shown = all ? appliances : appliances.filter(({ state }) => state !== 'retired');
      const left = appliances.length - shown.length;
      const hidden = left === 0 ? [] : [cliApplianceTexts.hidden(left)];
      desk.show(shown, (those) => [...notices.map(noticeText), fleetText(those), ...hidden].join('\n'));
    });
  addAssignmentCommands(fleet, desk);
  const appliance = program.command('appliance').description(cliApplianceTexts.appliance);
  appliance
    .command('show')
    .description(cliApplianceTexts.show)
    .argument('<appliance>', cliTexts.applianceArgument)
    .action(async (name: string) => {
      const view = await desk.api().get(`/api/appliances/${encodeURIComponent(name)}`, applianceViewShape);
      desk.show(view, applianceText);
    });
  appliance
    .command('reset-counter')
    .description(cliApplianceTexts.resetCounter)
    .argument('<appliance>', cliTexts.applianceArgument)
    .action(async (name: string) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/reset-counter`;
      const answer = await desk.api().post(path, {}, counterResetShape);
      desk.show(answer, () => answer.text);
    });
  addLifeCommands(appliance, desk);
  addClaimCommands(program, desk);
}

function addAssignmentCommands(fleet: Command, desk: Desk): void {
  const component = ['--component <component>', cliTexts.componentOption, 'app'] as const;
  fleet
    .command('assign')
    .description(cliApplianceTexts.assign)
    .argument('<appliance>', cliTexts.applianceArgument)
    .argument('<version>', cliApplianceTexts.assignVersion)
    .option(...component)
    .action(async (name: string, version: string, options: { component: string }) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/assign`;
      const view = await desk.api().post(path, { version, component: options.component }, applianceViewShape);
      desk.show(view, assignmentText);
    });
  fleet
    .command('unassign')
    .description(cliApplianceTexts.unassign)
    .argument('<appliance>', cliTexts.applianceArgument)
    .option(...component)
    .action(async (name: string, options: { component: string }) => {
      const path = `/api/appliances/${encodeURIComponent(name)}/unassign`;
      desk.show(await desk.api().post(path, { component: options.component }, applianceViewShape), assignmentText);
    });
}

function assignmentText(view: ApplianceView): string {
  // The first of the reasons says what is assigned.
  const reasons = reasonsText(view.reasons);
  return view.assigned.length === 0
    ? cliApplianceTexts.followsRollouts(view.name, reasons)
    : `${view.name}: ${reasons}`;
}

function versionOf(view: ApplianceView, component: string): string {
  return view.versions[component]?.version ?? '-';
}

function seen(last: ApplianceView['checkIns']['agent']): string {
  return last === null ? cliApplianceTexts.neverSeen : cliTexts.ago(ageText(last.ageS * 1000));
}

function noticeText(notice: string): string {
  return wrapped(cliApplianceTexts.notice(notice));
}

function fleetText(appliances: readonly ApplianceView[]): string {
  if (appliances.length === 0) return cliApplianceTexts.noAppliance;
  const rows = appliances.map((one) => [
    one.name,
    one.state,
    versionOf(one, 'app'),
    versionOf(one, 'updater'),
    seen(one.checkIns.agent),
    seen(one.checkIns.updater),
  ]);
  const [heading = '', ...lines] = table(cliApplianceTexts.columns, rows).split('\n');
  const texts = appliances.map((one) => {
    const why = `${reasonsText([one.sentence])} ${beyond(one.sentence, one.why)}`.trim();
    return below(one.alert === null || why.includes(one.alert) ? why : cliApplianceTexts.withAlert(why, one.alert));
  });
  return [heading, ...lines.flatMap((line, index) => [line, texts[index] ?? ''])].join('\n');
}

function quarantineText({ quarantined }: ApplianceView): string {
  const each = quarantined.map(
    ({ manifest, release }) => `${release ?? cliApplianceTexts.notPublished} (${manifest.slice(0, 12)})`,
  );
  return each.join(', ') || cliApplianceTexts.noQuarantine;
}

/** What stays on show for long is nothing without its time. */
function dated({ atMs, text }: { readonly atMs: number; readonly text: string }): string {
  return cliApplianceTexts.happenedAt(new Date(atMs).toISOString().slice(0, 16).replace('T', ' '), text);
}

function applianceText(view: ApplianceView): string {
  const checks = Object.entries(view.checks).map(([name, status]) => `${name} ${status}`);
  const { lastCrash: crashed, failedTrial: failed } = view;
  const crash = crashed === null ? cliApplianceTexts.noCrash : `${dated(crashed)}\n${crashed.output}`;
  const trial =
    failed === null
      ? cliApplianceTexts.noFailedTrial
      : [dated(failed), ...failed.lines, failed.output].join('\n').trim();
  const { labels } = cliApplianceTexts;
  return list([
    [labels.name, view.name],
    [labels.id, view.id],
    [labels.site, view.site],
    [labels.state, `${view.state}: ${reasonsText([view.sentence])}`],
    [labels.why, beyond(view.sentence, view.why) || cliApplianceTexts.asItsState],
    [labels.alert, view.alert ?? cliTexts.none],
    [labels.clock, view.clock ?? cliApplianceTexts.noClockTrouble],
    [labels.assigned, view.assigned.join(', ') || cliApplianceTexts.nothingAssigned],
    [labels.agent, cliApplianceTexts.versionSeen(versionOf(view, 'app'), seen(view.checkIns.agent))],
    [labels.updater, cliApplianceTexts.versionSeen(versionOf(view, 'updater'), seen(view.checkIns.updater))],
    [labels.row, view.row ?? cliTexts.unknown],
    [labels.checks, checks.join(', ') || cliTexts.unknown],
    [labels.lastCrash, crash],
    [labels.failedTrial, trial],
    [labels.quarantine, quarantineText(view)],
  ]);
}
