import { existsSync } from 'node:fs';
import { join } from 'node:path';

// Loaded before launch.js when a test must catch launch, which runs only a few hundredths of a second: it waits while
// the gate's directory has a file with the name of the component to launch.
const gate = new URL(import.meta.url).searchParams.get('gate');
const component = process.argv[3];
const lookMs = 5;

if (gate !== null && component !== undefined) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (existsSync(join(gate, component))) Atomics.wait(cell, 0, 0, lookMs);
}
