import { join } from 'node:path';
import { stops } from '../../../updater/run/what-may-stop.ts';
import { askFor, type DamagedAppliances, type DamageName, damages, statusAt } from './damaged-appliance.ts';

/** Of each tree that is verified against what is signed: its marks and its program stand for all its files. */
const ofTree = /^(slots|runtimes)\/.*\/(\.seal|\.committed|\.manifest\.json|main\.js|node)$/;

export function isLookedAt(path: string): boolean {
  return !/^(slots|runtimes)\//.test(path) || ofTree.test(path);
}

/**
 * Two runs of the real updater with one file damaged, and a person's request before them.
 * @returns what is wrong; null: the request was read and the runs ended well, or they were stopped for a reason on the list
 */
async function wrongWith(appliances: DamagedAppliances, path: string, damage: DamageName): Promise<string | null> {
  return appliances.on(async (layout) => {
    damages[damage](join(layout.root, path));
    const id = askFor(layout, '/nowhere/at/all.hfb');
    const first = await appliances.run(layout);
    const status = statusAt(layout);
    const about = (what: string, { out }: { out: string }) => `${path} is ${damage}: ${what}\n${out.slice(0, 2_000)}`;
    if (status.stopped !== undefined) {
      const isNamed = Object.keys(stops).includes(status.stopped.code) && status.stopped.code !== 'defect';
      return isNamed && first.exitCode === 1 && status.why.includes(status.stopped.code)
        ? null
        : about(`stopped by ${status.stopped.code}`, first);
    }
    if (first.exitCode !== 0) return about(`the run ended with ${first.exitCode}`, first);
    if (status.lastRequest?.id !== id) return about('the request was not read', first);
    const second = await appliances.run(layout);
    if (second.exitCode !== 0) return about(`the second run ended with ${second.exitCode}`, second);
    return second.out.includes('was damaged') ? about('it was told of twice', second) : null;
  });
}

/** As many at a time as the machine has cores: each case has a copy of its own. */
export async function wrongWithAll(
  appliances: DamagedAppliances,
  cases: readonly { readonly path: string; readonly damage: DamageName }[],
): Promise<string[]> {
  const wrong: string[] = [];
  const left = [...cases];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const found = await wrongWith(appliances, next.path, next.damage);
      if (found !== null) wrong.push(found);
    }
  };
  await Promise.all([work(), work()]);
  return wrong;
}
