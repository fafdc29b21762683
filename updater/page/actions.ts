import type { IncomingMessage } from 'node:http';
import { digestShape } from '../../protocol/digest.ts';
import type { Layout } from '../../protocol/layout.ts';
import { type Request, requestShape } from '../../protocol/request.ts';
import { ageTyped } from '../age-word.ts';
import type { Attempt, Attempts } from './attempts.ts';
import type { PageEffects } from './effects.ts';
import { FormError, readForm } from './forms.ts';
import { boundaryOf, MultipartError, MultipartReader } from './multipart.ts';
import { leaveRequest, RequestsError } from './requests.ts';
import { type Incoming, UploadError, type Uploads } from './uploads.ts';

/** What an action came to: a request was left for the updater, or nothing was done and why. */
export type ActionResult =
  | { readonly outcome: 'asked'; readonly id: string }
  | { readonly outcome: 'refused'; readonly status: number; readonly sentence: string; readonly retryAfterS?: number };

/** What actions work on. */
export interface ActionContext {
  readonly effects: PageEffects;
  readonly layout: Layout;
  readonly attempts: Attempts;
  readonly uploads: Uploads;
}

type Refused = Extract<ActionResult, { outcome: 'refused' }>;

/** Characters of a PIN field that are looked at. */
const pinMax = 200;

function refused(status: number, sentence: string): Refused {
  return { outcome: 'refused', status, sentence };
}

function refusedPin(attempt: Exclude<Attempt, { outcome: 'right' }>): Refused {
  switch (attempt.outcome) {
    case 'wrong': {
      const more =
        attempt.left === 0
          ? 'From now on you have to wait between tries.'
          : `${attempt.left} more tries before you have to wait.`;
      return refused(403, `The PIN is wrong, and nothing was done. ${more}`);
    }
    case 'wait': {
      const sentence = `Too many wrong PINs. Try again in ${attempt.seconds} s; until then, even the right one is not looked at.`;
      return { ...refused(429, sentence), retryAfterS: attempt.seconds };
    }
    case 'busy':
      return refused(503, 'Other PINs are being checked. Nothing was done; try again in a moment.');
    case 'no-pin':
      return refused(
        409,
        'This appliance has no PIN, so nothing can be done here. It is made by: holdfast-updater setup',
      );
    case 'not-counted':
      return refused(
        503,
        `The PIN can not be checked safely, because tries can not be counted (${attempt.why}). Nothing was done.`,
      );
    default:
      return attempt satisfies never;
  }
}

/** What an expected failure means for the person; null: it is a bug, or not about this action. */
function refusedBy(error: unknown): Refused | null {
  if (error instanceof FormError)
    return refused(error.code === 'form-too-large' ? 413 : 400, `Nothing was done: ${error.message}.`);
  if (error instanceof MultipartError)
    return refused(400, `Nothing was installed: ${error.message}. Send the file again.`);
  if (error instanceof UploadError) return refused(error.code === 'upload-busy' ? 409 : 413, error.message);
  if (error instanceof RequestsError)
    return refused(503, `${error.message}. If that stays so, the updater does not run.`);
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return refused(
      503,
      `Nothing was done: the appliance can not write (${String(error.code)}). Is its disk full or broken?`,
    );
  }
  return null;
}

/** The request of a form without a file. @throws FormError when a field is not what the page sends */
type Form = Exclude<Request['kind'], 'install'>;

/**
 * One cache, a proxy and a rate, as a technician knows them; an empty field is none. What the person did not change stays
 * as the updater has it, because the page does not show all of it. @throws FormError
 */
function sourcesOf(id: string, form: URLSearchParams): Request {
  const field = (name: string) => form.get(name)?.trim() || null;
  const isChanged = (name: string) => form.get(name)?.trim() !== (form.get(`shown-${name}`) ?? '');
  const rate = field('rate');
  const parsed = requestShape.safeParse({
    v: 1,
    id,
    kind: 'set-sources',
    sources: {
      ...(isChanged('cache') ? { releases: releasesOf(field('cache'), field('shown-others')) } : {}),
      ...(isChanged('proxy') ? { proxy: field('proxy') } : {}),
      ...(isChanged('rate') ? { rateBytesPerS: rate === null ? null : Number(rate) * 1000 } : {}),
    },
  });
  if (parsed.success) return parsed.data;
  throw new FormError(
    'form-malformed',
    'an address begins with http:// or https://, and a rate is a whole number of kB/s',
  );
}

/** The one cache that the form has, before those that it has not. */
function releasesOf(cache: string | null, others: string | null): unknown[] {
  const own = cache === null ? [] : [{ name: 'cache', kind: 'cache', url: cache }];
  try {
    const kept: unknown = JSON.parse(others ?? '[]');
    return [...own, ...(Array.isArray(kept) ? kept : [])];
  } catch (error) {
    if (error instanceof SyntaxError) throw new FormError('form-malformed', 'this is not the form that the page sends');
    throw error;
  }
}

function requestOf(kind: Form, id: string, form: URLSearchParams): Request {
  if (kind === 'set-sources') return sourcesOf(id, form);
  if (kind === 'rollback') return rollbackOf(id, form);
  const manifest = form.get('manifest');
  if (kind !== 'retry' || manifest === null || manifest === '') return { v: 1, id, kind };
  if (!digestShape.safeParse(manifest).success) throw new FormError('form-malformed', 'the form names no release');
  return { v: 1, id, kind, manifest };
}

/** The page sends a `tx` only where today's data would be lost from view: then the age must be there too. @throws FormError */
function rollbackOf(id: string, form: URLSearchParams): Request {
  const [tx, typed] = [form.get('tx') ?? '', form.get('age') ?? ''];
  if (tx === '' && typed === '') return { v: 1, id, kind: 'rollback' };
  const ageH = ageTyped(typed);
  if (!/^\d{1,9}$/.test(tx) || ageH === null)
    throw new FormError('form-malformed', 'to go back to data of before, type its age as the page says it, e.g. 5d');
  return { v: 1, id, kind: 'rollback', data: { tx: Number(tx), ageH } };
}

async function ask(context: ActionContext, kind: Form, form: URLSearchParams): Promise<ActionResult> {
  const { effects, layout, attempts } = context;
  const request = requestOf(kind, effects.newId(), form);
  const attempt = await attempts.try(form.get('pin') ?? '');
  if (attempt.outcome !== 'right') return refusedPin(attempt);
  leaveRequest(effects, layout, request);
  return { outcome: 'asked', id: request.id };
}

/** A form with a file while it streams in: first the PIN, then the file, then nothing that matters. */
class InstallForm {
  readonly #context: ActionContext;
  readonly #reader: MultipartReader;
  #field: 'pin' | 'file' | 'other' = 'other';
  #pin = '';
  #incoming: Incoming | null = null;
  #path: string | null = null;

  constructor(context: ActionContext, boundary: string) {
    this.#context = context;
    this.#reader = new MultipartReader(boundary);
  }

  /** @returns why nothing more of the form is wanted, or null */
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
    if (this.#path === null) throw new MultipartError('the form has no file');
    return this.#path;
  }

  discard(): void {
    this.#incoming?.discard();
  }

  async #beginFile(): Promise<Refused | null> {
    if (this.#incoming !== null) throw new MultipartError('the form has two files');
    const attempt = await this.#context.attempts.try(this.#pin);
    if (attempt.outcome !== 'right') return refusedPin(attempt);
    this.#incoming = this.#context.uploads.begin();
    return null;
  }
}

/** Reads to the end of a body: a browser shows an answer only when it could send all that it has. */
async function drain(request: IncomingMessage): Promise<void> {
  for await (const part of request) void part;
}

async function install(context: ActionContext, request: IncomingMessage): Promise<ActionResult> {
  const { effects, layout } = context;
  const boundary = boundaryOf(request.headers['content-type']);
  if (boundary === null) throw new MultipartError('this is not a form with a file');
  const form = new InstallForm(context, boundary);
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

/** Runs one action of the page. Expected failures are a refusal in plain words. */
export async function act(
  context: ActionContext,
  kind: Request['kind'],
  request: IncomingMessage,
): Promise<ActionResult> {
  const result = await acted(context, kind, request);
  context.effects.log(
    `${kind}: ${result.outcome === 'asked' ? `left request ${result.id}` : `refused: ${result.sentence}`}`,
  );
  if (result.outcome === 'refused') await drain(request);
  return result;
}

async function acted(context: ActionContext, kind: Request['kind'], request: IncomingMessage): Promise<ActionResult> {
  try {
    return kind === 'install' ? await install(context, request) : await ask(context, kind, await readForm(request));
  } catch (error) {
    const known = refusedBy(error);
    if (known === null) throw error;
    return known;
  }
}
