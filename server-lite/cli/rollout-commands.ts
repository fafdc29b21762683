import { type Command, InvalidArgumentError } from 'commander';
import type { z } from 'zod';
import { inOneLine } from '../../protocol/printable.ts';
import { type RolloutView, rolloutChangeShape, rolloutListShape, rolloutViewShape } from '../operator/shapes.ts';
import { ageText, sentenceCase } from '../rules/words.ts';
import { cliRolloutTexts, cliTexts } from '../texts.ts';
import { CliError } from './cli-error.ts';
import { defaultOf } from './default-command.ts';
import type { Desk } from './desk.ts';
import { table } from './table.ts';

/** How often a watched rollout is read. */
const watchMs = 1_000;

const descriptions = {
  pause: cliRolloutTexts.pause,
  resume: cliRolloutTexts.resume,
  cancel: cliRolloutTexts.cancel,
} as const;

function rolloutId(text: string): string {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError(cliRolloutTexts.notNumber);
  return text;
}

export function addRolloutCommands(program: Command, desk: Desk): void {
  const rollout = program.command('rollout').description(cliRolloutTexts.rollout);
  rollout
    .command('start')
    .description(cliRolloutTexts.start)
    .argument('<version>', cliRolloutTexts.startVersion)
    .option('--component <component>', cliTexts.componentOption, 'app')
    .option('--canary <appliance>', cliRolloutTexts.startCanary, (name: string, all: string[]) => [...all, name], [])
    .action(async (version: string, options: { component: string; canary: string[] }) => {
      const body = { version, component: options.component, canaries: options.canary };
      const started = await desk.api().post('/api/rollouts', body, rolloutViewShape);
      desk.show(started, (one) => cliRolloutTexts.started(one.id, one.component, one.version, one.canaries.join(', ')));
    });
  defaultOf(rollout, 'list')
    .description(cliRolloutTexts.list)
    .action(async () => {
      const { rollouts } = await desk.api().get('/api/rollouts', rolloutListShape);
      desk.show(rollouts, rolloutsText);
    });
  rollout
    .command('watch')
    .description(cliRolloutTexts.watch)
    .argument('[id]', cliRolloutTexts.rolloutId, rolloutId)
    .action((id: string | undefined) => watch(desk, id));
  for (const verb of ['pause', 'resume', 'cancel'] as const) {
    const command = rollout.command(verb).description(descriptions[verb]);
    command.argument('[id]', cliRolloutTexts.rolloutId, rolloutId);
    if (verb !== 'resume') command.option('--reason <text>', cliRolloutTexts.reason);
    command.action(async (id: string | undefined, options: { reason?: string }) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      const path = `/api/rollouts/${id ?? (await newestId(desk))}/${verb}`;
      const changed = await desk.api().post(path, body, rolloutChangeShape);
      desk.show(changed, (one) => {
        const was = one.already && verb !== 'pause' ? [cliRolloutTexts.wasSo(one.state)] : [];
        return [lineOf(one), ...was, ...(verb === 'cancel' ? standingLines(one) : [])].join('\n');
      });
    });
  }
}

/** What to do if a rollout does not continue by itself; null: it does, or is done. */
const nextSteps: Readonly<Record<RolloutView['state'], (view: RolloutView) => string | null>> = {
  running: () => null,
  paused: pausedNext,
  finished: () => null,
  superseded: () => cliRolloutTexts.supersededNext,
  failed: () => cliRolloutTexts.failedNext,
  cancelled: () => cliRolloutTexts.cancelledNext,
};

/** Resuming alone leads nowhere while a canary does not take the release: a person lets it be tried there again. */
function pausedNext({ version, failed, canaries }: RolloutView): string {
  const names = failed.map(({ name }) => name).filter((name) => canaries.includes(name));
  if (names.length === 0) return cliRolloutTexts.pausedNext;
  return cliRolloutTexts.pausedByFailureNext(names.join(', '), version);
}

async function newestId(desk: Desk): Promise<number> {
  const newest = (await desk.api().get('/api/rollouts', rolloutListShape)).rollouts[0];
  if (newest !== undefined) return newest.id;
  throw new CliError('rollout-unknown', cliRolloutTexts.noRollout, cliRolloutTexts.noRolloutNext);
}

async function watch(desk: Desk, asked: string | undefined): Promise<void> {
  const id = asked ?? (await newestId(desk));
  let shown = '';
  for (;;) {
    const view = await desk.api().get(`/api/rollouts/${id}`, rolloutViewShape);
    const line = lineOf(view);
    if (line !== shown) desk.show(view, () => line);
    shown = line;
    if (view.state === 'finished') return;
    const next = nextSteps[view.state](view);
    // The line above gives the reason.
    if (next !== null) throw new CliError(`rollout-${view.state}`, cliRolloutTexts.is(nameOf(view), view.state), next);
    await desk.surroundings.sleep(watchMs);
  }
}

function nameOf({ id, component, version }: RolloutView): string {
  return cliRolloutTexts.name(id, component, version);
}

/** The state, unless the sentence begins with it. */
function lineOf(one: RolloutView): string {
  const state = one.sentence.toLowerCase().startsWith(one.state) ? '' : `, ${one.state}`;
  return inOneLine(cliRolloutTexts.line(sentenceCase(nameOf(one)), state, one.stage, one.sentence));
}

/** A person who cancels a rollout is told which others may still reach an appliance. */
function standingLines({ component, stands }: z.infer<typeof rolloutChangeShape>): string[] {
  return stands.map(({ id, version, state }) => {
    const how = state === 'finished' ? cliRolloutTexts.finishedButOffered : state;
    return cliRolloutTexts.stillThere(id, component, version, how);
  });
}

function rolloutsText(rollouts: readonly RolloutView[]): string {
  if (rollouts.length === 0) return cliRolloutTexts.noneStarted;
  const rows = rollouts.map((one) => [
    String(one.id),
    one.component,
    one.version,
    one.state,
    one.stage,
    cliTexts.ago(ageText(one.ageS * 1000)),
    one.sentence,
  ]);
  return table(cliRolloutTexts.columns, rows);
}
