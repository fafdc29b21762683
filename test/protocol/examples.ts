import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = join(import.meta.dirname, 'v1');

/** A frozen message: something that one version wrote once, and every later one must read for ever. */
export interface Example {
  /** Name of its shape: what stands before the first dot of the file's name. */
  readonly shape: string;
  readonly name: string;
  readonly message: unknown;
}

export function readExamples(): Example[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((file) => ({
      shape: file.split('.')[0] ?? '',
      name: file.replace(/\.json$/, ''),
      message: JSON.parse(readFileSync(join(directory, file), 'utf8')),
    }));
}

/** One example by its name. @throws when there is none */
export function readExample(name: string): unknown {
  return JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));
}

/** Where a message holds an object whose keys are names, not fields: there a new key is a new member. */
const recordPaths = /^(checks|health\.checks|agent\.checks|seen|args|order\.args|transaction\.baseline)$/;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same message with a field of the future added to every object in it. */
export function withUnknownFields(message: unknown, path = ''): unknown {
  if (Array.isArray(message)) return message.map((item) => withUnknownFields(item, path));
  if (!isObject(message)) return message;
  const entries = Object.entries(message).map(([key, value]) => [
    key,
    withUnknownFields(value, path === '' ? key : `${path}.${key}`),
  ]);
  const known: Record<string, unknown> = Object.fromEntries(entries);
  return recordPaths.test(path) ? known : { ...known, 'x-of-the-future': { deep: [1, { er: null }] } };
}

/** The same message with the value at a path replaced; `undefined` removes it. */
export function changed(message: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (Array.isArray(message)) return message.map((item, i) => (i === first ? changed(item, rest, value) : item));
  if (!isObject(message)) throw new TypeError(`no field ${String(first)}`);
  const copy = { ...message, [first]: changed(message[first], rest, value) };
  if (rest.length === 0 && value === undefined) delete copy[first];
  return copy;
}
