import { resolve } from 'node:path';
import type { Command } from 'commander';
import { plainAddress, whyNoServerAddress } from '../../protocol/address.ts';
import { serverViewShape } from '../operator/shapes.ts';
import { cliTexts } from '../texts.ts';
import { apiOf } from './api.ts';
import { CliError } from './cli-error.ts';
import { type ConnectionOptions, requirePrivate } from './connection.ts';
import type { Desk } from './desk.ts';
import { defaultProfiles, pathOfProfile, readTokenFile, writeProfile } from './profile.ts';

/** `holdfast connect`: the server that this person's command line uses from now on. */
export function addConnectCommand(program: Command, desk: Desk): void {
  program
    .command('connect')
    .description(cliTexts.connect)
    .argument('<url>', cliTexts.connectUrl)
    .addHelpText('after', cliTexts.connectAfter)
    .action(async (url: string) => {
      const { tokenFile, profile, allowHttp = false } = program.opts<ConnectionOptions>();
      const why = whyNoServerAddress(url);
      if (why !== null) throw new CliError('not-configured', `${url} ${why}`, cliTexts.addressNext);
      requirePrivate(url, allowHttp);
      const { directory, config, profile: ofSurroundings } = desk.surroundings.places;
      const name = profile ?? ofSurroundings ?? defaultProfiles[0];
      // The same place that the next command reads.
      const isElsewhere = profile === undefined && config !== undefined;
      const place = isElsewhere ? resolve(config) : pathOfProfile(directory, name);
      const token = tokenFile === undefined ? await desk.surroundings.askToken(url) : readTokenFile(tokenFile);
      const address = plainAddress(url);
      // Stored only if the server accepts it.
      await apiOf({ url: address, token }).get('/api/server', serverViewShape);
      const path = writeProfile(place, { url: address, token, allowHttp });
      desk.show({ url: address, profile: name, path }, () => cliTexts.connected(address, path));
    });
}
