import { readFile, replaceFile } from '../../updater/effects/durable.ts';
import type { Files } from '../../updater/effects/files.ts';
import {
  createRecordFiles,
  type RecordPaths,
  readRecord,
  rewriteRecord,
  writeRecord,
} from '../../updater/record/record-store.ts';
import type { Procedure } from './enumerate.ts';

const directory = '/data';
const paths: RecordPaths = ['/data/state.0', '/data/state.1'];
const schema = 1;
/** Writes of a record in one run: each file is written over at least twice. */
const generations = 4;
/** More than two sectors, so that a write can tear. */
const padding = 'x'.repeat(1_500);

function prepareDirectory(files: Files): void {
  files.makeDirectory(directory, 0o700);
  files.syncDirectory('/');
}

function generationOf(body: unknown): number {
  return typeof body === 'object' && body !== null && 'n' in body && typeof body.n === 'number' ? body.n : -1;
}

function generation(files: Files): number {
  const record = readRecord(files, paths);
  return record === null ? 0 : generationOf(record.body);
}

/** A record that is written over and over: what was there before a write is there until the next one is whole. */
export function recordProcedure(): Procedure {
  const writeAll = (files: Files) => {
    for (let n = generation(files) + 1; n <= generations; n += 1) writeRecord(files, paths, schema, { n, padding });
  };
  return {
    prepare: (files) => {
      prepareDirectory(files);
      createRecordFiles(files, paths, directory);
      writeRecord(files, paths, schema, { n: 1, padding });
    },
    run: writeAll,
    recover: writeAll,
    broken: (files, ended) => {
      const n = generation(files);
      if (n < 1) return 'a record that was there is gone';
      return ended && n !== generations ? 'a record that was written is not there after the cut' : null;
    },
  };
}

/** A record that begins from nothing. */
export function beginningRecordProcedure(): Procedure {
  return {
    prepare: prepareDirectory,
    run: (files) => void rewriteRecord(files, paths, directory, schema, { n: 1, padding }),
    recover: (files) => {
      if (generation(files) < 1) rewriteRecord(files, paths, directory, schema, { n: 1, padding });
    },
    broken: (files, ended) =>
      ended && generation(files) !== 1 ? 'a record that was written is not there after the cut' : null,
  };
}

const path = '/data/agent.json';
const before = Buffer.from('before');
const after = Buffer.from(`after ${padding}`);

/** A file in whose place another one is put: it is the one or the other, whole. */
export function replaceProcedure(): Procedure {
  const replace = (files: Files) => replaceFile(files, path, after, 0o600);
  return {
    prepare: (files) => {
      prepareDirectory(files);
      replaceFile(files, path, before, 0o600);
    },
    run: replace,
    recover: replace,
    broken: (files, ended) => {
      const bytes = readFile(files, path, 1 << 20);
      if (bytes?.equals(after)) return null;
      if (ended) return 'a file that was replaced is not the new one after the cut';
      return bytes?.equals(before) ? null : 'a file is neither the old one nor the new one';
    },
  };
}
