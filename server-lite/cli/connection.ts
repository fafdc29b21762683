import { isLoopback, plainAddress, whyNoServerAddress } from '../../protocol/address.ts';
import { cliTexts } from '../texts.ts';
import { CliError } from './cli-error.ts';
import {
  defaultProfiles,
  type Profile,
  profileExists,
  readProfile,
  readStored,
  readTokenFile,
  storyProfile,
} from './profile.ts';

export interface Connection {
  readonly url: string;
  readonly token: string;
}

/** Options of this one command. */
export interface ConnectionOptions {
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly profile?: string | undefined;
  /** The token may cross a network unencrypted. */
  readonly allowHttp?: boolean | undefined;
}

/** The values of the environment, and the place of the person's configuration. */
export interface ConnectionPlaces {
  /** The directory of profiles: `$XDG_CONFIG_HOME/holdfast` or `~/.config/holdfast`. */
  readonly directory: string;
  /** HOLDFAST_CONFIG: the file of a profile that lies elsewhere. */
  readonly config?: string | undefined;
  /** HOLDFAST_SERVER and HOLDFAST_TOKEN_FILE: both, or neither. */
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** HOLDFAST_PROFILE. */
  readonly profile?: string | undefined;
}

/**
 * The server and the token, both from the same place: a token goes only to the address that it was stored or given
 * with. Nothing is read from the working directory.
 * @throws CliError `not-configured`, `token-elsewhere`, `http-not-private`, and what {@link readProfile} throws
 */
export function findConnection(options: ConnectionOptions, places: ConnectionPlaces): Connection {
  const found = named(options) ?? stored(options, places);
  const why = whyNoServerAddress(found.url);
  if (why !== null) throw new CliError('not-configured', `${found.url} ${why}`, cliTexts.addressNext);
  if (options.server !== undefined && !isSame(options.server, found.url)) {
    throw new CliError(
      'token-elsewhere',
      cliTexts.tokenElsewhere(found.url, options.server),
      cliTexts.tokenElsewhereNext(options.server),
    );
  }
  requirePrivate(found.url, options.allowHttp === true || found.allowHttp);
  return { url: found.url, token: found.token };
}

type Found = Connection & { readonly allowHttp: boolean };

function named({ server, tokenFile }: ConnectionOptions): Found | null {
  if (tokenFile === undefined) return null;
  if (server !== undefined) return { url: server, token: readTokenFile(tokenFile), allowHttp: false };
  throw new CliError('not-configured', cliTexts.noServerOfToken, cliTexts.noServerOfTokenNext);
}

function stored(options: ConnectionOptions, places: ConnectionPlaces): Found {
  if (options.profile === undefined) {
    const { server, tokenFile, config } = places;
    if (server !== undefined && tokenFile !== undefined)
      return { url: server, token: readTokenFile(tokenFile), allowHttp: false };
    if (server !== undefined || tokenFile !== undefined) {
      throw new CliError('not-configured', cliTexts.halfEnvironment, cliTexts.halfEnvironmentNext);
    }
    if (config !== undefined) return foundIn(readProfile(config));
  }
  const wanted = options.profile ?? places.profile;
  const known = (wanted === undefined ? defaultProfiles : [wanted]).find((name) =>
    profileExists(places.directory, name),
  );
  if (known !== undefined) return foundIn(readStored(places.directory, known));
  throw new CliError(
    'not-configured',
    wanted === undefined ? cliTexts.notConfigured : cliTexts.noSuchConnection(wanted, places.directory),
    wanted === storyProfile ? cliTexts.storyNext : cliTexts.notConfiguredNext(wanted),
  );
}

function foundIn({ url, token, allowHttp }: Profile): Found {
  return { url, token, allowHttp };
}

function isSame(one: string, other: string): boolean {
  return URL.canParse(one) && plainAddress(one) === plainAddress(other);
}

/** @throws CliError `http-not-private` if everybody on the network path could read the token */
export function requirePrivate(url: string, isAllowed: boolean): void {
  if (isAllowed || new URL(url).protocol === 'https:' || isLoopback(url)) return;
  throw new CliError('http-not-private', cliTexts.notEncrypted(url), cliTexts.notEncryptedNext);
}
