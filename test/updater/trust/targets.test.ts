import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Client } from './client.ts';
import { Simulator, setVersion, signer } from './simulator.ts';

let client: Client;
let repository: Simulator;

afterEach(() => client.end());

async function open(made: Simulator): Promise<void> {
  repository = made;
  client = new Client(made);
  expect(await client.init()).toBe(0);
}

describe('a target', () => {
  const content = Buffer.from('what is wanted');

  it('is downloaded, verified, and kept by its encoded name', async () => {
    await open(new Simulator());
    repository.addFile('targets', 'dir/file one.txt', content);
    repository.files.set([...repository.files.keys()][0]?.replace(/^([0-9a-f]+)\.dir\//, 'dir/$1.') ?? '', content);
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await client.download('dir/file one.txt')).toBe(0);
    expect(readFileSync(join(client.directory, encodeURIComponent('dir/file one.txt')))).toEqual(content);
  });

  it('that was changed is not kept', async () => {
    await open(new Simulator());
    repository.addFile('targets', 'file', content);
    for (const name of repository.files.keys()) repository.files.set(name, Buffer.from('what is wanteD'));
    setVersion(repository.targets, repository.targets.version + 1);
    repository.update();
    expect(await client.download('file')).toBe(1);
    expect(existsSync(join(client.directory, 'file'))).toBe(false);
  });

  it('is found in delegated roles, depth first, whatever they are called', async () => {
    await open(new Simulator());
    for (const [from, role] of [
      ['targets', 'a'],
      ['targets', '../b'],
      ['a', 'c?#'],
      ['c?#', '1'],
    ] as const) {
      repository.delegate(from, role, ['*']);
    }
    repository.addFile('1', 'deep', content);
    repository.addFile('../b', 'deep', Buffer.from('the sibling has no say'));
    repository.update();
    repository.requests.length = 0;
    expect(await client.download('deep')).toBe(0);
    expect(readFileSync(join(client.directory, 'deep'))).toEqual(content);
    expect(repository.requests.filter((path) => /1\.(a|c|1|\.\.)/.test(path))).toHaveLength(3);
    expect(Object.keys(client.stored())).toContain('c%3F%23.json');
    expect(existsSync(join(client.directory, 'b.json'))).toBe(false);
  });

  it('is not looked for behind a role that ends the search', async () => {
    await open(new Simulator());
    repository.delegate('targets', 'first', ['*'], true);
    repository.delegate('targets', 'second', ['*']);
    repository.addFile('second', 'file', content);
    repository.update();
    expect(await client.download('file')).toBe(1);
  });

  it('is looked for in a bounded number of roles, and never twice in one', async () => {
    await open(new Simulator());
    repository.delegate('targets', 'r0', ['*']);
    for (let i = 1; i < 40; i += 1) repository.delegate(`r${i - 1}`, `r${i}`, ['*']);
    repository.delegate('r39', 'r0', ['*']);
    repository.addFile('r39', 'file', content);
    repository.update();
    expect(await client.download('file')).toBe(1);
    expect(repository.requests.filter((path) => /\.r\d+\.json$/.test(path)).length).toBeLessThan(33);
  });

  it('of a role that its delegator did not vouch for is not believed', async () => {
    await open(new Simulator());
    repository.delegate('targets', 'role', ['*']);
    repository.signers.role = [signer()];
    repository.addFile('role', 'file', content);
    repository.update();
    expect(await client.download('file')).toBe(1);
    expect(client.stored()).not.toHaveProperty('role.json');
  });
});
