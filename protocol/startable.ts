import type { Manifest } from './manifest.ts';

/** What launch and the units start, whatever a manifest names as its entry. */
const startedProgram = 'main.js';
const startedRuntime = 'bin/node';

/**
 * Why this release could not start on any appliance, as the end of a sentence; null: it can. An agent starts on the
 * runtime that its own manifest lists, an updater on the operating system's. Reading a manifest does not require this:
 * installed releases of earlier versions are not judged by it.
 */
export function whyNotStartable({
  component,
  entry,
  runtime,
}: Pick<Manifest, 'component' | 'entry' | 'runtime'>): string | null {
  if (component === 'os') return null;
  if (entry !== startedProgram) return `its program is ${entry}, but ${startedProgram} is what is started`;
  if (component !== 'app') return null;
  if (runtime === null) return 'it carries no runtime, which an agent needs';
  const isThere = runtime.files.some(({ path, executable }) => path === startedRuntime && executable);
  return isThere ? null : `its runtime has no executable ${startedRuntime}, which is what is started`;
}
