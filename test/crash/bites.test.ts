import { expect, it } from 'vitest';
import type { Files } from '../../updater/effects/files.ts';
import { withOperations } from '../updater/support/wrapped-files.ts';
import { enumerate } from './enumerate.ts';
import { beginningRecordProcedure, recordProcedure, replaceProcedure } from './procedures.ts';

/** The same operations, each bound to its own disk, so that some can be exchanged. */
function bound(files: Files): Files {
  return new Proxy(files, {
    get: (target, key): unknown => {
      const operation: unknown = Reflect.get(target, key);
      return typeof operation === 'function'
        ? (...args: unknown[]) => Reflect.apply(operation, target, args)
        : operation;
    },
  });
}

const withoutSync = (files: Files) => withOperations({ sync: () => undefined }, bound(files));
const withoutDirectorySync = (files: Files) => withOperations({ syncDirectory: () => undefined }, bound(files));
const oneFileOnly = (files: Files) =>
  withOperations({ openWrite: (path) => files.openWrite(path.replace(/\.1$/, '.0')) }, bound(files));

const bites = [
  [
    'a file renamed into place before its content is synced',
    replaceProcedure(),
    withoutSync,
    'a file is neither the old one nor the new one',
  ],
  [
    'a rename whose directory is not synced',
    replaceProcedure(),
    withoutDirectorySync,
    'a file that was replaced is not the new one after the cut',
  ],
  [
    'a record whose content is not synced',
    recordProcedure(),
    withoutSync,
    'a record that was written is not there after the cut',
  ],
  [
    'new record files whose names are not synced',
    beginningRecordProcedure(),
    withoutDirectorySync,
    'a record that was written is not there after the cut',
  ],
  ['a record written over its only valid file', recordProcedure(), oneFileOnly, 'a record that was there is gone'],
] as const;

it.each(bites)('catches %s', (_, procedure, plant, sentence) => {
  const { violations } = enumerate(procedure, { seed: 1, plant });
  expect(violations.map((violation) => violation.sentence)).toContain(sentence);
});
