import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../../protocol/printable.ts';
import { wrongUsage } from '../support/usage.ts';
import { observationsShape } from './observations.ts';

/**
 * `node test/story/record.ts FILE`: makes what a real run has seen (observations.json, among its logs) the recorded one
 * that faults are planted in. Without bulk: styles and scripts of pages, and the middle of long texts.
 */

const textMax = 4_000;

function withoutBulk(_key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const plain = value.replace(/<(style|script)\b[^>]*>.*?<\/\1>/gs, '').replace(/<pre\b[^>]*>.*?<\/pre>/gs, '');
  return value.startsWith('<!') || plain.length <= textMax
    ? plain
    : `${plain.slice(0, textMax / 2)}…${plain.slice(-textMax / 2)}`;
}

const [file] = process.argv.slice(2);
if (file === undefined) wrongUsage('node test/story/record.ts FILE, with the observations.json of a story');
const seen = observationsShape.parse(JSON.parse(readFileSync(file, 'utf8')));
const recorded = join(import.meta.dirname, 'recorded', 'observations.json');
writeFileSync(recorded, `${JSON.stringify(JSON.parse(JSON.stringify(seen), withoutBulk), null, 2)}\n`);
process.stdout.write(printable(`${recorded}\n`));
