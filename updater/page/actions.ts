import type { IncomingMessage } from 'node:http';
import { digestShape } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { type Request, requestShape } from '../../protocol/request.ts';
import { ageTyped } from '../words/age-word.ts';
import { pageTexts } from '../words/texts.ts';
import type { Attempt, Attempts } from './attempts.ts';
import type { Connections } from './connections.ts';
import type { PageEffects } from './effects.ts';
import { FormError, readForm } from './forms.ts';
import { boundaryOf, MultipartError, MultipartReader } from './multipart.ts';
import { leaveRequest, RequestsError } from './requests.ts';
import { type Incoming, UploadError, type Uploads } from './uploads.ts';

/** The result of an action: a request was left for the updater, or nothing was done and why. */
export type ActionResult =
  | { readonly outcome: 'asked'; readonly id: string }
  | { readonly outcome: 'refused'; readonly status: number; readonly sentence: string; readonly retryAfterS?: number };

export interface ActionContext {
  readonly effects: PageEffects;
  readonly layout: Layout;
  readonly attempts: Attempts;
  readonly uploads: Uploads;
  readonly connections: Connections;
}

type Refused = Extract<ActionResult, { outcome: 'refused' }>;

/** Characters of a PIN field that are read. */
const pinMax = 200;

function refused(status: number, sentence: string): Refused {
  return { outcome: 'refused', status, sentence };
}

function refusedPin(attempt: Exclude<Attempt, { outcome: 'right' }>): Refused {
  switch (attempt.outcome) {
    case 'wrong': {
      const more = attempt.left === 0 ? pageTexts.nowWaits : pageTexts.triesLeft(attempt.left);
      return refused(403, pageTexts.wrongPin(more));
    }
    case 'wait': {
      const sentence = pageTexts.tooManyPins(attempt.seconds);
      return { ...refused(429, sentence), retryAfterS: attempt.seconds };
    }
    case 'busy':
      return refused(503, pageTexts.pinsChecked);
    case 'no-pin':
      return refused(409, pageTexts.noPin);
    case 'not-counted':
      return refused(503, pageTexts.triesNotCounted(attempt.why));
    default:
      return attempt satisfies never;
  }
}

/** What an expected failure means for the person; null: it is a bug, or not about this action. */
function refusedBy(error: unknown): Refused | null {
  if (error instanceof FormError)
    return refused(error.code === 'form-too-large' ? 413 : 400, pageTexts.nothingDone(error.message));
  if (error instanceof MultipartError) return refused(400, pageTexts.nothingInstalled(error.message));
  if (error instanceof UploadError) return refused(error.code === 'upload-busy' ? 409 : 413, error.message);
  if (error instanceof RequestsError) return refused(503, pageTexts.updaterNotRunning(error.message));
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return refused(503, pageTexts.cannotWrite(String(error.code)));
  }
  return null;
}

/** The request of a form without a file. @throws FormError when a field is not what the page sends */
type Form = Exclude<Request['kind'], 'install'>;

/**
 * One cache, a proxy and a rate, as a technician knows them; an empty field means none. Fields that the person did not
 * change stay as the updater has them, because the page does not show everything.
 * @throws FormError
 */
function sourcesOf(id: string, form: URLSearchParams): Request {
  const field = (name: string) => form.get(name)?.trim() || null;
  const isChanged = (name: string) => form.get(name)?.trim() !== (form.get(`shown-${name}`) ?? '');
  const rate = field('rate');
  const parsed = requestShape.safeParse({
    v: 1,
    id,
    kind: 'set-sources',
    ...(field('shown-all') === null ? {} : { shown: field('shown-all') }),
    sources: {
      ...(isChanged('cache') ? { releases: releasesOf(field('cache'), field('shown-others')) } : {}),
      ...(isChanged('proxy') ? { proxy: field('proxy') } : {}),
      ...(isChanged('rate') ? { rateBytesPerS: rate === null ? null : Number(rate) * 1000 } : {}),
    },
  });
  if (parsed.success) return parsed.data;
  throw new FormError('form-malformed', pageTexts.notSources);
}

/** The one cache of the form, followed by the caches that the form does not show. */
function releasesOf(cache: string | null, others: string | null): unknown[] {
  const own = cache === null ? [] : [{ name: 'cache', kind: 'cache', url: cache }];
  try {
    const kept: unknown = JSON.parse(others ?? '[]');
    return [...own, ...(Array.isArray(kept) ? kept : [])];
  } catch (error) {
    if (error instanceof SyntaxError) throw new FormError('form-malformed', pageTexts.anotherForm);
    throw error;
  }
}

function requestOf(kind: Form, id: string, form: URLSearchParams): Request {
  if (kind === 'set-sources') return sourcesOf(id, form);
  if (kind === 'rollback') return rollbackOf(id, form);
  const manifest = form.get('manifest');
  if (kind !== 'retry' || manifest === null || manifest === '') return { v: 1, id, kind };
  if (!digestShape.safeParse(manifest).success) throw new FormError('form-malformed', pageTexts.noRelease);
  return { v: 1, id, kind, manifest };
}

/**
 * The page sends a `tx` only when today's data would be replaced: then the age must be there, too.
 * @throws FormError
 */
function rollbackOf(id: string, form: URLSearchParams): Request {
  const [tx, typed] = [form.get('tx') ?? '', form.get('age') ?? ''];
  const manifest = form.get('manifest') ?? '';
  if (manifest !== '' && !digestShape.safeParse(manifest).success)
    throw new FormError('form-malformed', pageTexts.noRelease);
  const shown = manifest === '' ? {} : { manifest };
  if (tx === '' && typed === '') return { v: 1, id, kind: 'rollback', ...shown };
  const ageH = ageTyped(typed);
  if (!/^\d{1,9}$/.test(tx) || ageH === null) throw new FormError('form-malformed', pageTexts.typeAge);
  return { v: 1, id, kind: 'rollback', ...shown, data: { tx: Number(tx), ageH } };
}

/** One try of a PIN, counted against the peer that sent it. */
function tryPin({ attempts, connections }: ActionContext, request: IncomingMessage, typed: string): Promise<Attempt> {
  const peer = connections.peerOf(request);
  // The connection was closed meanwhile: nobody hears the answer, so nothing is done.
  return peer === null ? Promise.resolve({ outcome: 'busy' }) : attempts.try(typed, peer);
}

async function ask(context: ActionContext, kind: Form, sent: IncomingMessage): Promise<ActionResult> {
  const { effects, layout } = context;
  const form = await readForm(sent);
  const request = requestOf(kind, effects.newId(), form);
  const attempt = await tryPin(context, sent, form.get('pin') ?? '');
  if (attempt.outcome !== 'right') return refusedPin(attempt);
  leaveRequest(effects, layout, request);
  return { outcome: 'asked', id: request.id };
}

/** A form with a file while it streams in: first the PIN, then the file, then parts that are ignored. */
class InstallForm {
  readonly #context: ActionContext;
  readonly #request: IncomingMessage;
  readonly #reader: MultipartReader;
  #field: 'pin' | 'file' | 'other' = 'other';
  #pin = '';
  #incoming: Incoming | null = null;
  #path: string | null = null;

  constructor(context: ActionContext, request: IncomingMessage, boundary: string) {
    this.#context = context;
    this.#request = request;
    this.#reader = new MultipartReader(boundary);
  }

  /** @returns why the rest of the form is not wanted, or null */
  async take(bytes: Uint8Array): Promise<Refused | null> {
    for (const event of this.#reader.push(bytes)) {
      if (event.kind === 'part') {
        this.#field = event.isFile ? 'file' : event.name === 'pin' ? 'pin' : 'other';
        const refusal = this.#field === 'file' ? await this.#beginFile() : null;
        if (refusal !== null) return refusal;
      } else if (event.kind === 'part-end') {
        if (this.#field === 'file') this.#path = this.#incoming?.finish() ?? null;
        this.#field = 'other';
      } else if (this.#field === 'file') this.#incoming?.write(event.bytes);
      else if (this.#field === 'pin') this.#pin = (this.#pin + event.bytes.toString('utf8')).slice(0, pinMax);
    }
    return null;
  }

  /** The file that was sent. @throws MultipartError when there is none */
  finish(): string {
    this.#reader.finish();
    if (this.#path === null) throw new MultipartError(pageTexts.noFile);
    return this.#path;
  }

  discard(): void {
    this.#incoming?.discard();
  }

  async #beginFile(): Promise<Refused | null> {
    if (this.#incoming !== null) throw new MultipartError(pageTexts.twoFiles);
    const { connections } = this.#context;
    // While the PIN is checked, the delay is the page's own.
    connections.sends(this.#request);
    const attempt = await tryPin(this.#context, this.#request, this.#pin);
    if (attempt.outcome !== 'right') {
      connections.ended(this.#request);
      return refusedPin(attempt);
    }
    this.#incoming = this.#context.uploads.begin();
    return null;
  }
}

/** Reads a body to its end: a browser shows an answer only after it has sent everything. */
async function drain(request: IncomingMessage): Promise<void> {
  for await (const part of request) void part;
}

async function install(context: ActionContext, request: IncomingMessage): Promise<ActionResult> {
  const { effects, layout } = context;
  const boundary = boundaryOf(request.headers['content-type']);
  if (boundary === null) throw new MultipartError(pageTexts.notAFileForm);
  const form = new InstallForm(context, request, boundary);
  try {
    for await (const part of request.iterator({ destroyOnReturn: false })) {
      const refusal = await form.take(Buffer.from(part));
      if (refusal !== null) return refusal;
    }
    const file = form.finish();
    const id = effects.newId();
    leaveRequest(effects, layout, { v: 1, id, kind: 'install', file });
    return { outcome: 'asked', id };
  } catch (error) {
    form.discard();
    throw error;
  }
}

/** Runs one action of the page. An expected failure becomes a refusal in plain words. */
export async function act(
  context: ActionContext,
  kind: Request['kind'],
  request: IncomingMessage,
): Promise<ActionResult> {
  const result = await acted(context, kind, request);
  context.effects.log(
    `${kind}: ${result.outcome === 'asked' ? pageTexts.leftRequest(result.id) : pageTexts.refused(result.sentence)}`,
  );
  if (result.outcome === 'refused') await drain(request);
  return result;
}

async function acted(context: ActionContext, kind: Request['kind'], request: IncomingMessage): Promise<ActionResult> {
  try {
    return kind === 'install' ? await install(context, request) : await ask(context, kind, request);
  } catch (error) {
    const known = refusedBy(error);
    if (known === null) throw error;
    return known;
  }
}
