import type { IncomingMessage } from 'node:http';
import { pageTexts } from '../words/texts.ts';

/** A form without a file: a PIN and a digest. */
const formBytesMax = 4 * 1024;

export class FormError extends Error {
  readonly code: 'form-too-large' | 'form-malformed';
  constructor(code: FormError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** The fields of a urlencoded form, bounded. @throws FormError */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
    throw new FormError('form-malformed', pageTexts.notAForm);
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > formBytesMax) throw new FormError('form-too-large', pageTexts.formTooLarge);
    parts.push(bytes);
  }
  return new URLSearchParams(Buffer.concat(parts).toString('utf8'));
}
