import { type Command, InvalidArgumentError } from 'commander';
import { ageText } from '../fleet/words.ts';
import { type RolloutView, rolloutListShape, rolloutViewShape } from '../operator/shapes.ts';
import { CliError } from './cli-error.ts';
import type { Desk } from './program.ts';
import { table } from './table.ts';

/** How often a watched rollout is asked for. */
const watchMs = 1_000;

function rolloutId(text: string): string {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a number, as `holdfast rollout list` prints it');
  return text;
}

export function addRolloutCommands(program: Command, desk: Desk): void {
  const rollout = program.command('rollout').description('Releases on their way to the fleet');
  rollout
    .command('start')
    .description('Roll a published release out: to its canaries, then to everyone')
    .argument('<version>', 'the version')
    .option('--component <component>', 'app, updater or os', 'app')
    .option(
      '--canary <appliance>',
      'an appliance that gets it first; may be repeated',
      (name: string, all: string[]) => [...all, name],
      [],
    )
    .action(async (version: string, options: { component: string; canary: string[] }) => {
      const body = { version, component: options.component, canaries: options.canary };
      const started = await desk.api().post('/api/rollouts', body, rolloutViewShape);
      desk.show(
        started,
        (one) => `Rollout ${one.id} of ${one.component} ${one.version} runs; canary: ${one.canaries.join(', ')}.`,
      );
    });
  rollout
    .command('list', { isDefault: true })
    .description('All rollouts, newest first')
    .action(async () => {
      const { rollouts } = await desk.api().get('/api/rollouts', rolloutListShape);
      desk.show(rollouts, rolloutsText);
    });
  rollout
    .command('watch')
    .description('Follow a rollout until everyone who is there has proven it, or it is paused')
    .argument('[id]', 'the rollout; the newest one when absent', rolloutId)
    .action((id: string | undefined) => watch(desk, id));
  for (const verb of ['pause', 'resume'] as const) {
    const command = rollout.command(verb).description(verb === 'pause' ? 'Stop offering it' : 'Go on offering it');
    command.argument('[id]', 'the rollout; the newest one when absent', rolloutId);
    if (verb === 'pause') command.option('--reason <text>', 'why, for whoever asks');
    command.action(async (id: string | undefined, options: { reason?: string }) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      const path = `/api/rollouts/${id ?? (await newestId(desk))}/${verb}`;
      desk.show(await desk.api().post(path, body, rolloutViewShape), lineOf);
    });
  }
}

async function newestId(desk: Desk): Promise<number> {
  const newest = (await desk.api().get('/api/rollouts', rolloutListShape)).rollouts[0];
  if (newest !== undefined) return newest.id;
  throw new CliError('rollout-unknown', 'no rollout was started', 'holdfast rollout start VERSION');
}

async function watch(desk: Desk, asked: string | undefined): Promise<void> {
  const id = asked ?? (await newestId(desk));
  let shown = '';
  for (;;) {
    const view = await desk.api().get(`/api/rollouts/${id}`, rolloutViewShape);
    const line = lineOf(view);
    if (line !== shown) desk.show(view, () => line);
    shown = line;
    if (view.state === 'paused')
      throw new CliError('rollout-paused', view.reason, 'holdfast rollout resume, or a newer release');
    if (view.stage === 'done') return;
    await desk.surroundings.sleep(watchMs);
  }
}

function lineOf(one: RolloutView): string {
  return `Rollout ${one.id} of ${one.component} ${one.version}, ${one.state}, stage ${one.stage}: ${one.sentence}`;
}

function rolloutsText(rollouts: readonly RolloutView[]): string {
  if (rollouts.length === 0) return 'No rollout was started. Next: holdfast rollout start VERSION';
  const rows = rollouts.map((one) => [
    String(one.id),
    one.component,
    one.version,
    one.state,
    one.stage,
    `${ageText(one.ageS * 1000)} ago`,
    one.sentence,
  ]);
  return table(['ID', 'COMPONENT', 'VERSION', 'STATE', 'STAGE', 'STARTED', 'HOW FAR'], rows);
}
