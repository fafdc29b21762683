import type { Built } from '../support/world/builder.ts';
import type { World } from '../support/world/world.ts';

/** What comes and goes in a soak. */
export interface Releases {
  readonly good: readonly Built[];
  readonly bad: readonly Built[];
  /** Good, and no older one reads the data that it writes. */
  readonly rewriting: readonly Built[];
  readonly updaters: { readonly good: readonly Built[]; readonly bad: readonly Built[] };
}

/** Two at a time, as many as a small machine has processors; what is signed is signed one after the other. */
const buildsAtOnce = 2;

async function builtOf(builds: readonly (() => Promise<Built>)[]): Promise<Built[]> {
  const built: Built[] = [];
  const left = [...builds.entries()];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) built[next[0]] = await next[1]();
  };
  await Promise.all(Array.from({ length: buildsAtOnce }, work));
  return built;
}

export async function buildReleases({ builder }: World): Promise<Releases> {
  const groups = [
    ['2.0.1', '2.0.2', '2.0.3'].map((version) => () => builder.unpatched(version)),
    // They crash, end, and say that they are another version.
    ['1.0.40', '1.0.43', '1.0.61'].map((version) => () => builder.app(version)),
    [() => builder.app('1.0.65')],
    ['2.1.1', '2.1.2'].map((version) => () => builder.updater(version)),
    // Both pass the probe and crash in each run of their trial; one leaves a record that nobody else reads.
    ['1.1.1', '1.1.4'].map((version) => () => builder.patchedUpdater(version)),
  ] as const;
  const built = await builtOf(groups.flat());
  const [good = [], bad = [], rewriting = [], updaters = [], badUpdaters = []] = groups.map((group) =>
    built.splice(0, group.length),
  );
  return { good, bad, rewriting, updaters: { good: updaters, bad: badUpdaters } };
}
