import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { sha256 } from '../../protocol/digest.ts';
import { layoutOf } from '../../protocol/layout.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { realClock } from '../effects/clock.ts';
import { readFile, replaceFile } from '../effects/durable.ts';
import { realFiles } from '../effects/files.ts';
import { makeHttp } from '../effects/http.ts';
import { HttpError } from '../effects/http-error.ts';
import { refreshMetadata, searchTarget } from '../release/refresh-metadata.ts';
import { ReleaseError } from '../release/release-error.ts';
import type { TrustPlace } from '../release/trust-files.ts';
import { installFirstRoot, loadTrust } from '../release/trust-store.ts';

/**
 * The updater's TUF client as a command, for the public conformance suite: `init ROOT`, `refresh`, `download`. It is the
 * updater's own code; only the time is another: the greater of trusted time and this machine's clock.
 */
const optionsShape = z.object({
  'metadata-dir': z.string(),
  'metadata-url': z.string().optional(),
  'target-name': z.array(z.string()).default([]),
  'target-base-url': z.string().optional(),
  'target-dir': z.string().optional(),
});
/** As the suite's files are small, and one that is not ends with an error. */
const targetBytesMax = 64 * 1024 * 1024;
const targetTotalMs = 60_000;
const rootBytesMax = 1024 * 1024;

const usage = `The updater's client of The Update Framework, for the public conformance suite of such clients.

  tuf --metadata-dir D init ROOT
  tuf --metadata-dir D --metadata-url U refresh
  tuf --metadata-dir D --metadata-url U --target-name N … --target-base-url U --target-dir D download

Exit status: 0 done, 1 refused or failed. Stored metadata has the name of its role, without a version.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    'metadata-dir': { type: 'string' },
    'metadata-url': { type: 'string' },
    'target-name': { type: 'string', multiple: true },
    'target-base-url': { type: 'string' },
    'target-dir': { type: 'string' },
  },
});
if (values.help) {
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}
const options = optionsShape.parse(values);
const directory = resolve(options['metadata-dir']);
const place: TrustPlace = {
  files: realFiles,
  layout: { ...layoutOf(directory), trust: directory },
  clockS: () => realClock.wallS(),
};
const http = makeHttp();

function need(name: 'metadata-url' | 'target-base-url' | 'target-dir'): string {
  const value = options[name];
  if (value === undefined) throw new RangeError(`--${name} is needed`);
  return value.replace(/\/$/, '');
}

function init(rootFile: string | undefined): void {
  const bytes = rootFile === undefined ? null : readFile(realFiles, resolve(rootFile), rootBytesMax);
  if (bytes === null) throw new RangeError('init needs a ROOT that is there');
  realFiles.makeDirectory(directory, 0o700);
  installFirstRoot(place, bytes, sha256(bytes));
}

const refresh = () => refreshMetadata(place, http, need('metadata-url'), '');

async function download(): Promise<void> {
  const trusted = await refresh();
  for (const name of options['target-name']) {
    const target = await searchTarget(place, http, need('metadata-url'), trusted, name, '');
    const kept = join(need('target-dir'), encodeURIComponent(name));
    const known = realFiles.stat(kept) === null ? null : readFile(realFiles, kept, targetBytesMax);
    if (known !== null && (await isTarget(target, known))) continue;
    const url = `${need('target-base-url')}/${targetUrl(name, target, loadTrust(place).root.metadata.signed.consistentSnapshot)}`;
    const answer = await http.fetch({ url, totalMs: targetTotalMs }, Math.min(target.length, targetBytesMax));
    if (answer.status !== 200) throw new ReleaseError('http-status', `${url} answers with status ${answer.status}`);
    if (!(await isTarget(target, answer.body))) {
      throw new TrustError('tuf-target-mismatch', `${name} is not the file that the targets metadata names`);
    }
    replaceFile(realFiles, kept, answer.body, 0o644);
  }
}

type Target = Awaited<ReturnType<typeof searchTarget>>;

/** 5.7.2: with consistent snapshots the file's name begins with one of its digests. */
function targetUrl(name: string, target: Target, isConsistent: boolean): string {
  const [digest] = Object.values(target.hashes);
  if (!isConsistent || digest === undefined) return name;
  return join(name, '..', `${digest}.${basename(name)}`);
}

/** 5.7.3: its length, and every digest that is named. */
async function isTarget(target: Target, bytes: Buffer): Promise<boolean> {
  const { Readable } = await import('node:stream');
  try {
    await target.verify(Readable.from([bytes]));
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

try {
  const [command, argument] = positionals;
  if (command === 'init') init(argument);
  else if (command === 'refresh') await refresh();
  else if (command === 'download') await download();
  else throw new RangeError('name one of: init ROOT, refresh, download');
} catch (error) {
  const isExpected = error instanceof ReleaseError || error instanceof TrustError || error instanceof HttpError;
  if (!isExpected && !(error instanceof RangeError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
