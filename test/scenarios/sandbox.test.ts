import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { ownMounts } from '../../image/development/supervisor/sandbox.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { nodeBinary } from '../support/world/checkout.ts';
import { endWorld, makeWorld, paceS, patient, serves, told, trialOf } from './scene.ts';

/**
 * An update inside a sandbox like a unit's: everything but the data partition is read-only, and PATH leads nowhere
 * (S28). The units themselves are another matter: they need systemd.
 */
const world = makeWorld();

afterAll(() => endWorld(world));

function inSandbox(box: ApplianceBox): Promise<void> {
  const closed = join(world.dir, 'elsewhere');
  mkdirSync(closed, { recursive: true });
  return box.powerOn({ sandbox: { writable: [box.options.root, box.config.logs], closed } });
}

describe('an update in a sandbox', () => {
  it('S28: commits over the network and from a file, where only the data partition can be written', async () => {
    await world.found('1.0.52', paceS);
    const box = await world.addAppliance('closed', {
      trial: trialOf(1_000),
      settings: patient,
    });
    await inSandbox(box);
    await serves(box, '1.0.52');
    const [next, last] = [await world.builder.unpatched('1.0.56'), await world.builder.unpatched('1.0.57')];
    await world.publish(next);
    await world.server.startRollout('1.0.56');
    await serves(box, '1.0.56');
    await box.updaterProgram(['install', last.path]);
    const status = await serves(box, '1.0.57');
    const ends = ['1.0.52 -> 1.0.56 committed', '1.0.56 -> 1.0.57 committed'];
    expect(new Set(told(status.transactions))).toEqual(new Set(ends));
  });

  it('S28: has a sandbox that closes: without one the same probe finds the room open', async () => {
    const open = "import { closeAllBut } from './image/development/supervisor/sandbox.ts';";
    const script = (writable: readonly string[]) =>
      `${open} await closeAllBut(${JSON.stringify(writable)}, ${JSON.stringify(world.dir)});`;
    const run = (writable: readonly string[]) =>
      execa(ownMounts[0], [...ownMounts.slice(1), nodeBinary, '--input-type=module', '--eval', script(writable)], {
        reject: false,
      });
    expect((await run([])).exitCode).toBe(0);
    const left = await run([world.dir]);
    expect(left.exitCode).not.toBe(0);
    expect(left.stderr).toContain('sandbox-open');
  });
});
