import type { Claim } from '../../protocol/claim.ts';
import type { Layout } from '../../protocol/layout.ts';
import type { PathEntry } from '../../protocol/network-path.ts';
import type { Files } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';

/** What set-up is asked to do, and what it works on. */
export interface SetUpOrder {
  readonly files: Files;
  readonly http: Http;
  /** The entry of the network path over which the server answered; absent or null: none did. */
  readonly answeredOver?: () => PathEntry | null;
  readonly layout: Layout;
  readonly claim: Claim;
  /** The directory with the bundles that come with the operating system's image: app-*.hfb and updater-*.hfb. */
  readonly factory: string;
  readonly version: string;
  /** This is a copied data partition, which gets new keys; absent: it keeps its keys. */
  readonly newIdentity?: boolean;
  log(line: string): void;
}
