import { chmod, copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleName } from '../../protocol/manifest.ts';
import { prepareEmpty } from '../emit.ts';
import { ImageError } from '../errors.ts';
import { buildTexts } from '../texts.ts';
import { verifyBundle } from '../verify/verify-bundle.ts';

export interface SystemInput {
  /** The output of `os`. */
  readonly osDir: string;
  /** Bundles of `app` and `updater` that become the factory versions. */
  readonly factory: readonly string[];
  /** An empty directory; it becomes a tree for `/`. */
  readonly outDir: string;
}

/** Where an appliance has the files of its operating system's part. */
const home = join('usr', 'lib', 'holdfast');
const unitHome = join('usr', 'lib', 'systemd', 'system');
const unitSources = join(import.meta.dirname, 'units');
const unitName = /\.(mount|path|service|socket|timer)$/;

/** Starts the command line on the shipped runtime, whatever else the machine has. */
const commandLine = "#!/usr/lib/holdfast/node\nimport('/usr/lib/holdfast/updater/main.js');\n";

/**
 * The part of an appliance that belongs to its operating system, as a tree for `/`: programs, factory bundles, units
 * that are enabled, and users. Each bundle is verified, because an appliance has nothing older to go back to.
 * @throws ImageError `payload-invalid`, and what {@link verifyBundle} throws
 */
export async function emitSystem({ osDir, factory, outDir }: SystemInput): Promise<{ readonly units: string[] }> {
  const releases = await Promise.all(factory.map(releaseIn));
  for (const component of ['app', 'updater']) {
    if (releases.filter((release) => release.component === component).length === 1) continue;
    throw new ImageError('payload-invalid', buildTexts.noFactoryBundle(component), buildTexts.factoryNext);
  }
  await prepareEmpty(outDir);
  const homeDir = join(outDir, home);
  const unitDir = join(outDir, unitHome);
  for (const path of [join(homeDir, 'factory'), unitDir, join(outDir, 'usr', 'bin')])
    await mkdir(path, { recursive: true });
  await cp(osDir, homeDir, { recursive: true });
  // Whatever the file is called, setup looks for the name that its release gives it.
  for (const { file, component, version } of releases) {
    await copyFile(file, join(homeDir, 'factory', bundleName(component, version)));
  }
  await copyFile(join(unitSources, 'run.conf'), join(homeDir, 'run.conf'));
  await mkdir(join(outDir, 'usr', 'lib', 'sysusers.d'), { recursive: true });
  await copyFile(join(unitSources, 'sysusers.conf'), join(outDir, 'usr', 'lib', 'sysusers.d', 'holdfast.conf'));
  const command = join(outDir, 'usr', 'bin', 'holdfast-updater');
  await writeFile(command, commandLine);
  await chmod(command, 0o755);
  return { units: await emitUnits(unitDir) };
}

async function releaseIn(file: string) {
  const { release } = await verifyBundle(file, null, new Date());
  if (release !== null) return { file, component: release.component, version: release.version };
  throw new ImageError('payload-invalid', buildTexts.metadataAlone(file), buildTexts.factoryNext);
}

async function emitUnits(unitDir: string): Promise<string[]> {
  const units = (await readdir(unitSources)).filter((name) => unitName.test(name)).sort();
  for (const unit of units) {
    const text = await readFile(join(unitSources, unit), 'utf8');
    await writeFile(join(unitDir, unit), text, { mode: 0o644 });
    // What `systemctl enable` does, without a running systemd.
    for (const [, target = ''] of text.matchAll(/^WantedBy=(\S+)$/gm)) {
      await mkdir(join(unitDir, `${target}.wants`), { recursive: true });
      await symlink(join('..', unit), join(unitDir, `${target}.wants`, unit));
    }
  }
  return units;
}
