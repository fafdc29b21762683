import type { Command } from 'commander';
import { clockChangeShape, type ServerView, serverViewShape } from '../operator/shapes.ts';
import { cliServerTexts, cliTexts } from '../texts.ts';
import { defaultOf } from './default-command.ts';
import type { Desk } from './desk.ts';
import { list } from './table.ts';

/** `holdfast server`: the server's own state. */
export function addServerCommands(program: Command, desk: Desk): void {
  const server = program.command('server').description(cliServerTexts.server);
  defaultOf(server, 'show')
    .description(cliServerTexts.show)
    .action(async () => desk.show(await desk.api().get('/api/server', serverViewShape), serverText));
  const clock = server.command('clock').description(cliServerTexts.clock);
  const changes = {
    accept: cliServerTexts.clockAccept,
    reset: cliServerTexts.clockReset,
  };
  for (const [change, text] of Object.entries(changes)) {
    clock
      .command(change)
      .description(text)
      .action(async () => {
        const answer = await desk.api().post(`/api/server/clock/${change}`, {}, clockChangeShape);
        desk.show(answer, () => cliServerTexts.done(answer.done));
      });
  }
}

function serverText(view: ServerView): string {
  const ends = view.metadata.map(({ role, version, endsMs }) => {
    return cliServerTexts.metadataUntil(role, version, new Date(endsMs).toISOString().slice(0, 10));
  });
  const keys = view.unknownKeys.map(({ keyId, times, address, lastMs }) => {
    return cliServerTexts.unknownKey(keyId, times, address, new Date(lastMs).toISOString());
  });
  const { labels } = cliServerTexts;
  return list([
    [labels.time, new Date(view.nowMs).toISOString()],
    [labels.clock, view.clock.state],
    [labels.metadata, ends.join(', ') || cliServerTexts.noMetadata],
    [labels.epoch, view.epoch],
    [labels.unknownKeys, keys.join('\n') || cliServerTexts.noUnknownKey],
    [labels.notices, view.notices.join('\n') || cliTexts.none],
  ]);
}
