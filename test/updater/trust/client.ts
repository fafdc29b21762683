import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { runTuf } from '../../../updater/commands/tuf/command.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import type { Simulator } from './simulator.ts';

/** The command against a repository that knows nothing of our code: called here, or as the conformance suite does it. */
const command = join(checkout, 'updater', 'commands', 'tuf', 'main.ts');

export class Client {
  readonly directory = mkdtempSync(join(tmpdir(), 'holdfast-tuf-'));
  readonly repository: Simulator;
  #url = '';

  constructor(repository: Simulator) {
    this.repository = repository;
  }

  /** With the first root of a repository. @returns the exit status of `init` */
  async init(): Promise<number> {
    this.#url = await this.repository.listen();
    writeFileSync(join(this.directory, 'initial.json'), this.repository.roots[0] ?? '');
    return this.run('init', join(this.directory, 'initial.json'));
  }

  /** @returns the exit status; nothing may stand on standard output */
  async run(...words: string[]): Promise<number> {
    const { status, output } = await runTuf(this.#words(words));
    if (output !== '') throw new Error(`on standard output: ${output}`);
    return status;
  }

  /** The same in a process of its own. */
  async runAsProcess(...words: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
    const result = await execa(nodeBinary, [command, ...this.#words(words)], { reject: false });
    return { status: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  }

  #words(words: readonly string[]): string[] {
    return ['--metadata-dir', join(this.directory, 'metadata'), '--metadata-url', `${this.#url}/metadata`, ...words];
  }

  refresh(): Promise<number> {
    return this.run('refresh');
  }

  download(...names: string[]): Promise<number> {
    return this.run(...this.wordsOfDownload(names));
  }

  wordsOfDownload(names: readonly string[]): string[] {
    const targets = ['--target-base-url', `${this.#url}/targets`, '--target-dir', this.directory];
    return [...names.flatMap((name) => ['--target-name', name]), ...targets, 'download'];
  }

  /** The versions that are stored, by file. */
  stored(): Record<string, number> {
    const metadata = join(this.directory, 'metadata');
    const names = readdirSync(metadata).filter((name) => name.endsWith('.json'));
    return Object.fromEntries(
      names.map((name) => [name, JSON.parse(readFileSync(join(metadata, name), 'utf8')).signed.version as number]),
    );
  }

  async end(): Promise<void> {
    await this.repository.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
