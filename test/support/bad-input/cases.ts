import { answerHtml, answerStatus, flipByte, ignoreRange, redirect } from '../lying-server.ts';
import type { Misbehaviour } from '../release-server.ts';
import { stallBeforeHead, stallInBody } from '../stalling-server.ts';
import { cutFile, truncateAfter } from '../truncating-server.ts';
import { type BundlePlaces, signAnew } from './damage.ts';
import { altered, alteredWithDigest, replayed, signedByAnother, statusWith, unsigned, type Wish } from './lies.ts';
import type { Lie } from './misbehaving-proxy.ts';

/** What a case needs to know of the release before it can lie about it. */
export interface Release {
  readonly places: BundlePlaces;
  readonly wish: Wish;
}

/** `refused`: the transaction ends. `carried on`: it waits in its row for a better network. `not believed`: a check-in. */
export type Case = { readonly name: string; readonly codes: readonly string[] } & (
  | { readonly outcome: 'refused' | 'carried on'; readonly act: (release: Release) => Misbehaviour }
  | { readonly outcome: 'not believed'; readonly lie: (release: Release) => Lie }
);

const refused = (name: string, codes: readonly string[], act: (release: Release) => Misbehaviour): Case => ({
  name,
  codes,
  act,
  outcome: 'refused',
});
const carriedOn = (name: string, code: string, act: () => Misbehaviour): Case => ({
  name,
  codes: [code],
  act,
  outcome: 'carried on',
});
const notBelieved = (name: string, code: string, lie: (release: Release) => Lie): Case => ({
  name,
  codes: [code],
  lie,
  outcome: 'not believed',
});

const middle = (bytes: Buffer) => Math.floor(bytes.length / 2);

/** In the order in which metadata is looked at: each is met before the ones after it were ever trusted. */
export const metadataCases: readonly Case[] = [
  refused('a page in place of the next root', ['tuf-malformed'], () => answerHtml('2.root.json', false)),
  refused('a flipped byte in the timestamp', ['tuf-threshold', 'tuf-malformed'], () =>
    flipByte('timestamp.json', middle),
  ),
  refused('a timestamp signed by another key', ['tuf-threshold'], () => signAnew('timestamp.json')),
  refused('a flipped byte in the snapshot', ['tuf-mismatch', 'tuf-threshold'], () => flipByte('snapshot.json', middle)),
  refused('a truncated snapshot', ['tuf-mismatch'], () => cutFile('snapshot.json', 200)),
  refused('a flipped byte in the targets', ['tuf-mismatch', 'tuf-threshold'], () => flipByte('targets.json', middle)),
];

export const bundleCases: readonly Case[] = [
  refused('a flipped byte in a header of the bundle', ['not-a-bundle'], ({ places }) =>
    flipByte('.hfb', places.header),
  ),
  refused('a flipped byte in the root that it carries', ['tuf-mismatch'], ({ places }) =>
    flipByte('.hfb', places.root),
  ),
  refused('a flipped byte in its targets', ['tuf-mismatch', 'tuf-threshold', 'tuf-malformed'], ({ places }) =>
    flipByte('.hfb', places.targets),
  ),
  refused('a flipped byte in its manifest', ['wrong-manifest', 'bad-bundle'], ({ places }) =>
    flipByte('.hfb', places.manifest),
  ),
  refused('a flipped byte in a chunk', ['bad-chunk'], ({ places }) => flipByte('.hfb', places.chunk)),
  refused('a flipped byte behind its end', ['bad-bundle'], ({ places }) => flipByte('.hfb', places.trailer)),
  refused('a page in place of the bundle', ['range-ignored'], () => answerHtml('.hfb', false)),
  refused('a server that ignores ranges', ['range-ignored'], () => ignoreRange('.hfb')),
  refused('a bundle at another address', ['redirect-refused'], () => redirect('.hfb', 'http://127.0.0.1:9/portal')),
];

/** No two in a row with one code: each must be the appliance's word about this one. */
export const networkCases: readonly Case[] = [
  carriedOn('a server that answers 500 for metadata', 'http-status', () => answerStatus('timestamp.json', 500)),
  carriedOn('a bundle that breaks off', 'truncated', () => truncateAfter('.hfb', 1_000)),
  carriedOn('a bundle that never begins', 'stalled', () => stallBeforeHead('.hfb')),
  carriedOn('a bundle that ends early', 'truncated', () => cutFile('.hfb', 100_000)),
  carriedOn('a bundle that stands still', 'stalled', () => stallInBody('.hfb', 1_000)),
  carriedOn('a server that answers 500 for the bundle', 'http-status', () => answerStatus('app-1.0.52.hfb', 500)),
];

export const lieCases: readonly Case[] = [
  notBelieved('an answer with other words', 'digest-mismatch', ({ wish }) => altered(wish)),
  notBelieved('an answer with other words and their digest', 'signature-wrong', ({ wish }) => alteredWithDigest(wish)),
  notBelieved('an answer signed by another key', 'key-unknown', ({ wish }) => signedByAnother(wish)),
  notBelieved('an answer that nobody signed', 'signature-missing', ({ wish }) => unsigned(wish)),
  notBelieved('an answer to an earlier question', 'signature-wrong', () => replayed()),
  notBelieved('a server that answers 500', 'signature-missing', () => statusWith(500, 'no')),
  notBelieved('a page that asks for a password', 'signature-missing', () => statusWith(200, '<html>log in</html>')),
];
