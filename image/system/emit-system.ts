import { chmod, copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { prepareEmpty } from '../emit.ts';
import { ImageError } from '../errors.ts';

export interface SystemInput {
  /** What `os` wrote. */
  readonly osDir: string;
  /** Bundles of `app` and `updater` that become the factory versions. */
  readonly factory: readonly string[];
  /** An empty directory, which becomes a tree for `/`. */
  readonly outDir: string;
}

/** Where an appliance has what comes with its operating system. */
const home = join('usr', 'lib', 'holdfast');
const unitHome = join('usr', 'lib', 'systemd', 'system');
const unitSources = join(import.meta.dirname, 'units');
const unitName = /\.(mount|path|service|socket|timer)$/;

/** Starts the command line on the runtime that came with it, whatever else the machine has. */
const commandLine = "#!/usr/lib/holdfast/node\nimport('/usr/lib/holdfast/updater/main.js');\n";

/**
 * The part of an appliance that belongs to its operating system, as a tree to be laid over `/`: programs, factory bundles,
 * units with what starts them at boot, and users.
 * @throws ImageError `payload-invalid`
 */
export async function emitSystem({ osDir, factory, outDir }: SystemInput): Promise<{ readonly units: string[] }> {
  for (const component of ['app', 'updater']) {
    if (factory.filter((file) => basename(file).startsWith(`${component}-`)).length === 1) continue;
    throw new ImageError(
      'payload-invalid',
      `not exactly one factory bundle is of ${component}`,
      'give --factory FILE for app and for updater',
    );
  }
  await prepareEmpty(outDir);
  const homeDir = join(outDir, home);
  const unitDir = join(outDir, unitHome);
  for (const path of [join(homeDir, 'factory'), unitDir, join(outDir, 'usr', 'bin')])
    await mkdir(path, { recursive: true });
  await cp(osDir, homeDir, { recursive: true });
  for (const file of factory) await copyFile(file, join(homeDir, 'factory', basename(file)));
  await copyFile(join(unitSources, 'run.conf'), join(homeDir, 'run.conf'));
  await mkdir(join(outDir, 'usr', 'lib', 'sysusers.d'), { recursive: true });
  await copyFile(join(unitSources, 'sysusers.conf'), join(outDir, 'usr', 'lib', 'sysusers.d', 'holdfast.conf'));
  const command = join(outDir, 'usr', 'bin', 'holdfast-updater');
  await writeFile(command, commandLine);
  await chmod(command, 0o755);
  return { units: await emitUnits(unitDir) };
}

async function emitUnits(unitDir: string): Promise<string[]> {
  const units = (await readdir(unitSources)).filter((name) => unitName.test(name)).sort();
  for (const unit of units) {
    const text = await readFile(join(unitSources, unit), 'utf8');
    await writeFile(join(unitDir, unit), text, { mode: 0o644 });
    // What `systemctl enable` would do, without a running systemd.
    for (const [, target = ''] of text.matchAll(/^WantedBy=(\S+)$/gm)) {
      await mkdir(join(unitDir, `${target}.wants`), { recursive: true });
      await symlink(join('..', unit), join(unitDir, `${target}.wants`, unit));
    }
  }
  return units;
}
