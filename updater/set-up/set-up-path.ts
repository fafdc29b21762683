import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { directEntry, entryWords, noProxyShape, type PathEntry, webAddressShape } from '../../protocol/network-path.ts';
import type { ProxyEnvironment } from '../effects/command-line.ts';
import { readFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';
import type { RatedEntry } from '../effects/http-request.ts';
import { SetUpError } from '../identity/set-up-error.ts';
import { pathHttp } from '../server/network-path.ts';
import { pathInUse, rateInUse, readSources } from '../trust/sources.ts';
import type { TrustPlace } from '../trust/trust-files.ts';
import { setUpTexts } from '../words/texts.ts';

/** The network path at set-up: what a person names, else what the environment names, else what was used before. */

export interface SetUpPathOptions {
  readonly server: string;
  readonly proxy: string | undefined;
  /** A file with certificates of private authorities. */
  readonly ca: string | undefined;
  readonly environment: ProxyEnvironment;
}

const certificatesBytesMax = 40_000;
const certificatesMax = 4;

/** @throws SetUpError `proxy-invalid`, `ca-invalid` */
export function setUpEntries(place: TrustPlace, options: SetUpPathOptions): readonly PathEntry[] {
  const known = pathInUse(place);
  const given = givenEntry(place.files, options);
  if (given === null) return known;
  // Nothing was ever verified: then the direct path may be the right one, with the authorities that were named.
  const others = readSources(place) === null ? [{ ...directEntry, ca: given.ca }] : known;
  return [given, ...others];
}

function givenEntry(files: Files, { server, proxy: named, ca: file, environment }: SetUpPathOptions): PathEntry | null {
  const { https, http, none = '' } = environment;
  const found = named ?? (new URL(server).protocol === 'https:' ? https : http);
  if (file === undefined && (found === undefined || found === '')) return null;
  const proxy = found === undefined || found === '' ? null : proxyAddress(found, named === undefined);
  const ca = { pins: [], pem: file === undefined ? [] : certificatesIn(files, resolve(file)) };
  const noProxy = named === undefined && proxy !== null ? noProxyIn(none) : [];
  return { proxy, ca, ...(noProxy.length === 0 ? {} : { noProxy }) };
}

/** In the environment, the address often has no scheme. */
function proxyAddress(text: string, isOfEnvironment: boolean): string {
  const parsed = webAddressShape.safeParse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (parsed.success) return parsed.data;
  throw new SetUpError(
    'proxy-invalid',
    isOfEnvironment ? setUpTexts.environmentProxy : setUpTexts.givenProxy,
    setUpTexts.proxyNext,
  );
}

function noProxyIn(text: string): string[] {
  const parsed = noProxyShape.safeParse(text.split(/[\s,]+/).filter((pattern) => pattern !== ''));
  if (parsed.success) return parsed.data;
  throw new SetUpError('proxy-invalid', setUpTexts.tooManyHosts, setUpTexts.tooManyHostsNext);
}

function certificatesIn(files: Files, path: string): string[] {
  const text = readFile(files, path, certificatesBytesMax)?.toString('latin1') ?? '';
  const found = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length > 0 && found.length <= certificatesMax && found.every(isCertificate)) return found;
  throw new SetUpError('ca-invalid', setUpTexts.badAuthority(path, certificatesMax), setUpTexts.badAuthorityNext);
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

export interface SetUpPath {
  readonly http: Http;
  /** The entry over which the server answered; null: it has not. */
  answeredOver(): PathEntry | null;
}

export function setUpPath(place: TrustPlace, entries: readonly PathEntry[], log: (line: string) => void): SetUpPath {
  let answered: PathEntry | null = null;
  const rated: readonly RatedEntry[] = entries.map((entry) => ({ ...entry, rateBytesPerS: rateInUse(place) }));
  const http = pathHttp(
    () => ({ entries: rated, verified: null }),
    {},
    (entry) => {
      answered = entry;
      log(setUpTexts.serverAnswers(entryWords(entry)));
    },
  );
  return { http, answeredOver: () => answered };
}
