import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeBinary } from '../support/world/checkout.ts';
import { checks } from './checks.ts';
import { faults, type Seen } from './faults.ts';
import { observationsShape } from './observations.ts';
import { toldOf } from './told.ts';
import { failedChecks } from './verdict.ts';

/** What one real run of the story saw; see record.ts. */
const recorded = join(import.meta.dirname, 'recorded', 'observations.json');
const verifyProgram = fileURLToPath(new URL('./verify.ts', import.meta.url));

/** One for each check: a process for each fault would show nothing more. */
const firstFaults = faults.filter(({ check }, index) => faults.findIndex((one) => one.check === check) === index);

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-faults-'));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function recordedSeen(): Seen {
  return observationsShape.required().parse(JSON.parse(readFileSync(recorded, 'utf8')));
}

/** Verifies in a process of its own, as after a run. */
function verify(file: string) {
  return execa(nodeBinary, [verifyProgram, file], { reject: false });
}

function verifySeen(seen: object) {
  const file = join(directory, 'observations.json');
  writeFileSync(file, JSON.stringify(seen));
  return verify(file);
}

describe('the checks of the story', () => {
  it('all hold for what a real run has seen', async () => {
    const { exitCode, stdout } = await verify(recorded);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
  });

  it('have names of their own, and each is told and has a planted fault', () => {
    const names = new Set(checks.map(({ name }) => name));
    expect(names.size).toBe(checks.length);
    expect(new Set(Object.keys(toldOf(recordedSeen())))).toEqual(names);
    expect(new Set(faults.map(({ check }) => check))).toEqual(names);
  });

  it.each(faults)('$check fails for a planted fault, and no other check does: $what', ({ check, plant }) => {
    const seen = recordedSeen();
    plant(seen);
    expect(failedChecks(seen).map(({ name }) => name)).toEqual([check]);
  });

  it.each(firstFaults)('$check, when it fails, ends the verification with 1, by its name', async ({ check, plant }) => {
    const seen = recordedSeen();
    plant(seen);
    const { exitCode, stdout } = await verifySeen(seen);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(new RegExp(`^${check.replaceAll('.', '\\.')}: .+$`));
  });

  it.each(observationsShape.keyof().options)('of a scene that was never seen all fail: %s', (scene) => {
    const { [scene]: _unseen, ...seen } = recordedSeen();
    const expected = checks.filter((one) => one.scene === scene).map(({ name }) => name);
    expect(failedChecks(seen).map(({ name }) => name)).toEqual(expected);
  });

  it('are never all good for a file that is no observations', async () => {
    expect((await verify(join(directory, 'missing.json'))).exitCode).toBe(2);
    expect((await verifySeen({ fleet: { appliances: 'none' } })).exitCode).toBe(2);
    expect((await verifySeen({})).exitCode).toBe(1);
  });
});
