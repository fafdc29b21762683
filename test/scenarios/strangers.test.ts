import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { takeSnapshot } from '../../updater/agent-data/snapshot.ts';
import { takeLock } from '../../updater/appliance/lock.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { loadIdentity } from '../../updater/identity/identity.ts';
import { loadSettings } from '../../updater/identity/settings.ts';
import { tidyAgentPlaces } from '../../updater/transaction/agent-places.ts';
import { linkAndFile, type SwapStep, setprivWords, swapping } from '../support/swapping/swapping.ts';
import type { ApplianceBox } from '../support/world/appliance-box.ts';
import { patienceMs, until } from '../support/world/wait.ts';
import { comesWithinMs, endWorld, makeWorld, paceS, serves } from './scene.ts';

/** The page's user and the agent's put what they can in root's way: nothing outside of their own is touched, and the run goes on. */
const world = makeWorld();
const hourMs = 3_600_000;
const runBytes = 16 * 1024 * 1024;
/** Runs of the updater beside somebody who exchanges names without a pause. */
const runsBesideSwaps = 12;
const looksBesideSwaps = 300;
let box: ApplianceBox;
let outside = '';

function userOf(who: 'page' | 'agent'): { uid: number; gid: number } {
  const user = who === 'page' ? box.config.pageUser : box.config.agentUser;
  if (user === null) throw new RangeError('these tests need root: page and agent are users of their own');
  return user;
}

const as = (who: 'page' | 'agent', script: string) =>
  execa('setpriv', [...setprivWords(userOf(who)), 'bash', '-c', script], { reject: false });

let said = '';
const ofSupervisor = () => readFileSync(join(box.config.logs, 'updater.log'), 'utf8');
let saidBefore = 0;

/** A whole run of the updater. @returns what runs said since the test began: the supervisor starts them too */
async function run(): Promise<string> {
  said += await until('a run of its own', comesWithinMs, async () => {
    const { stdout } = await box.updaterProgram(['run']);
    return stdout.includes('another updater is at work') ? null : stdout;
  });
  return `${ofSupervisor().slice(saidBefore)}${said}`;
}

/** What is outside, and what of the updater's own a stranger would like to be rid of: bytes, owner and mode. */
function guarded(): string {
  const { updater, identity, settings } = box.layout;
  const below = (directory: string) => readdirSync(directory).map((name) => join(directory, name));
  const paths = [outside, ...below(outside), updater, identity, settings, box.layout.identityKey];
  return paths
    .map((path) => {
      const { uid, gid, mode } = lstatSync(path);
      const bytes = lstatSync(path).isFile() ? readFileSync(path, 'base64') : '';
      return [path, uid, gid, mode.toString(8), bytes].join(' ');
    })
    .join('\n');
}

function installRequest(file: string): { readonly path: string; readonly request: string; readonly script: string } {
  const id = randomUUID();
  const request = JSON.stringify({ v: 1, id, kind: 'install', file });
  const path = join(box.layout.requests, id);
  return { path, request, script: `umask 077; echo '${request}' > ${path}.tmp && mv ${path}.tmp ${path}.json` };
}

beforeAll(async () => {
  await world.found('1.0.52', paceS);
  box = await world.addAppliance('harbour', { timerMs: hourMs, trial: { healthyMs: 500, deadlineMs: patienceMs } });
  await execa('mkdir', ['-p', box.layout.run]);
  await execa('mount', ['-t', 'tmpfs', '-o', `mode=0755,size=${runBytes},nr_inodes=16k`, 'run', box.layout.run]);
  await box.powerOn();
  await serves(box, '1.0.52');
});

beforeEach(() => {
  said = '';
  saidBefore = ofSupervisor().length;
  // On the same file system, so that a rename or another name could lead there.
  outside = join(box.options.root, `outside-${randomUUID()}`);
  mkdirSync(outside, { mode: 0o755 });
  for (const name of ['root-file', 'identity.json', 'state.db', 'agent.json'])
    writeFileSync(join(outside, name), `root's ${name}`, { mode: 0o644 });
});

afterAll(async () => {
  await box.powerOff();
  await execa('umount', ['--lazy', box.layout.run]);
  await endWorld(world);
});

describe("the page's user", () => {
  it('exchanges nothing in page/, which is root’s, and reads the PIN that it checks', async () => {
    const { page, uploads, pin, pinFailures } = box.layout;
    for (const script of [`mv ${uploads} ${page}/u`, `rm ${pin}`, `ln -s / ${page}/x`, `echo > ${pin}`])
      expect((await as('page', script)).exitCode, script).not.toBe(0);
    for (const script of [`cat ${pin}`, `echo -n x | dd conv=notrunc of=${pinFailures}`, `echo > ${uploads}/x.part`])
      expect((await as('page', script)).exitCode, script).toBe(0);
  });

  it('who made a link to updater/ of its uploads, on an appliance from before, has nothing removed there', async () => {
    const { page, uploads, updater } = box.layout;
    const { uid, gid } = userOf('page');
    chownSync(page, uid, gid);
    chmodSync(page, 0o700);
    const before = guarded();
    await as('page', `mv ${uploads} ${page}/u.saved && ln -s ${updater} ${uploads}`);
    expect(lstatSync(uploads).isSymbolicLink()).toBe(true);
    await as('page', installRequest(join(uploads, 'identity.json')).script);
    expect(await run()).toContain(`${uploads} was no directory of its own: removed`);
    expect(guarded()).toBe(before);
    expect((await box.status()).lastRequest).toMatchObject({ outcome: 'refused', code: 'no-file' });
    expect([lstatSync(page).uid, lstatSync(uploads).uid, lstatSync(uploads).isDirectory()]).toEqual([0, uid, true]);
  });

  it.each([
    ['a link', (file: string, target: string) => as('page', `ln -s ${target} ${file}`)],
    // As they can where the kernel does not protect such names (fs.protected_hardlinks).
    ['another name of what is root’s', (file: string, target: string) => execa('ln', [target, file])],
    ['a pipe', (file: string) => as('page', `mkfifo ${file}`)],
    ['a directory', (file: string, target: string) => as('page', `mkdir ${file} && ln -s ${target} ${file}/root-file`)],
  ])('who puts %s in the place of an upload, a request or both is refused', async (_, plant) => {
    const { uploads, requests } = box.layout;
    const before = guarded();
    const file = join(uploads, `${randomUUID()}.hfb`);
    await plant(file, join(outside, 'root-file'));
    // run/ is a file system of its own: of another one there is no name in it.
    await plant(join(requests, `${randomUUID()}.json`), box.layout.status);
    await as('page', installRequest(file).script);
    const said = await run();
    expect(said).toContain(`${uploads} held a name`);
    // Whichever looks first: the run that puts the places in order, or one that was awake and reads requests.
    expect(said).toMatch(new RegExp(`${requests} held a name|${requests}/\\S+ is not a request: removed`));
    expect(guarded()).toBe(before);
    expect([readdirSync(uploads), readdirSync(requests)]).toEqual([[], []]);
    expect((await box.status()).lastRequest).toMatchObject({ outcome: 'refused' });
  });

  it('who exchanges names while the updater runs gets at nothing else', async () => {
    const { uploads, requests } = box.layout;
    const before = guarded();
    const [file, request] = [join(uploads, `${randomUUID()}.hfb`), join(requests, `${randomUUID()}.json`)];
    const swaps = [file, request].flatMap((path) => linkAndFile(path, join(outside, 'root-file')));
    const tree = (name: string) => join(`${file}.d`, name);
    const trees: SwapStep[] = [
      ['directory', tree('a')],
      ['link', tree('b'), outside],
      ['rename', tree('a'), tree('c')],
      ['rename', tree('b'), tree('a')],
      ['rename', tree('a'), tree('b')],
    ];
    await using _swaps = await swapping(userOf('page'), [...swaps, ...trees]);
    for (let i = 0; i < runsBesideSwaps; i += 1) {
      await as('page', installRequest(file).script);
      await run();
      expect(guarded()).toBe(before);
    }
  });

  it('who fills run/ loses what it left there, and the agent is not stopped for it (S48)', async () => {
    const { requests } = box.layout;
    const pid = box.agentPid();
    const ask = installRequest('/nowhere').script;
    // No run removes it while it is written: the lock is ours.
    const lock = await until('no run is at work', comesWithinMs, () => takeLock(box.layout));
    const { stderr } = await as('page', `${ask}; head -c ${2 * runBytes} /dev/zero > ${requests}/junk`);
    lock.release();
    expect(stderr).toContain('No space left');
    const log = await run();
    expect(log).toMatch(/requests held (a name|\d+ names)/);
    expect(readdirSync(requests), log).toEqual([]);
    expect([(await box.status()).agent.alive, box.agentPid()]).toEqual([true, pid]);
  });

  it('who makes directories of uploads and of requests that are looked at ends no run', async () => {
    const { uploads, requests } = box.layout;
    const before = guarded();
    const upload = join(uploads, `${randomUUID()}.hfb`);
    const ids = [randomUUID(), randomUUID()].map((id) => join(requests, `${id}.json`));
    const trees = [upload, ...ids].map((path): SwapStep => ['directory', join(path, 'x')]);
    const { path, request } = installRequest(upload);
    const ask: SwapStep[] = [
      ['write', `${path}.tmp`, request],
      ['rename', `${path}.tmp`, `${path}.json`],
    ];
    await using _trees = await swapping(userOf('page'), [...trees, ...ask]);
    for (let i = 0; i < runsBesideSwaps; i += 1) {
      expect(await run()).not.toContain('Error');
      expect((await box.status()).stopped).toBeUndefined();
    }
    expect(guarded()).toBe(before);
  });

  it('who removes all requests as they come keeps no command of root’s from being heard', async () => {
    const { requests, ownRequests } = box.layout;
    expect((await as('page', `ls ${ownRequests}`)).exitCode).not.toBe(0);
    await using _thief = await swapping(userOf('page'), [['remove-all', requests]]);
    for (let i = 0; i < 3; i += 1) {
      const { stdout } = await box.updaterProgram(['check']);
      expect(stdout).toContain('Nothing new');
    }
    expect(readdirSync(ownRequests)).toEqual([]);
  });

  it('who leaves more requests than it may is told so, and a person at the command line is heard', async () => {
    const { requests } = box.layout;
    const many = 'for i in $(seq 100); do echo {} > $(cat /proc/sys/kernel/random/uuid).json; done';
    await as('page', `cd ${requests}; for i in $(seq 5000); do echo {} > $i.tmp; done; ${many}`);
    expect(await run()).toMatch(/requests held \d{2,} names/);
    const log = await run();
    expect(log).not.toContain('Error');
    expect(readdirSync(requests), log).toEqual([]);
    const { stdout } = await box.updaterProgram(['check']).catch((error: unknown) => ({ stdout: String(error) }));
    expect(stdout).toContain('Nothing new');
  });
});

describe("the agent's user", () => {
  it.each([
    ['links', (to: string, name: string) => as('agent', `ln -sfn ${to} ${name}`)],
    ['other names', (to: string, name: string) => execa('ln', ['-f', to, name])],
  ])(
    'who makes %s of its state, its keys and its corner of run/ loses and changes nothing elsewhere',
    async (_, plant) => {
      const { agent, agentKeys, agentRun, agentSettings, stateDb } = box.layout;
      const before = guarded();
      const next = await world.builder.unpatched(`1.0.${60 + Math.floor(Math.random() * 1_000_000)}`);
      const script = [
        `mv ${agentKeys} ${agent}/keys.saved; ln -s ${outside} ${agentKeys}`,
        `ln -s ${outside} ${agentRun}/x; mkdir ${agentRun}/y; ln -s ${outside} ${agentRun}/y/z; mkfifo ${agent}/outbox.db-shm`,
      ];
      await as('agent', script.join('; '));
      await plant(join(outside, 'state.db'), stateDb);
      await plant(join(outside, 'agent.json'), agentSettings);
      await box.updaterProgram(['install', next.path]).catch((error: unknown) => error);
      const after = await until('it is at rest', comesWithinMs, async () => {
        const status = await box.status();
        return status.row === 'idle' && status.transactions.length > 0 ? status : null;
      });
      expect(after.transactions.at(-1)?.to).toBe(next.version);
      expect(guarded()).toBe(before);
      expect(lstatSync(agentKeys).isDirectory()).toBe(true);
    },
  );

  it('who exchanges names while its state is copied and its places are put in order gets at nothing else', async () => {
    const { layout } = box;
    const { agent, agentKeys, agentRun, updater, stateDb } = layout;
    const before = guarded();
    const [keys, state, corner] = [agentKeys, stateDb, join(agentRun, 'a')];
    const swaps: SwapStep[] = [
      ['rename', keys, join(agent, 'k1')],
      ['link', keys, outside],
      ['remove', keys],
      ['rename', join(agent, 'k1'), keys],
      ...linkAndFile(state, join(outside, 'state.db')),
      ['directory', join(corner, 'b', 'c')],
      ['link', join(corner, 'l'), outside],
      ['rename', join(corner, 'b'), join(corner, 'd')],
      ['rename', join(corner, 'l'), join(corner, 'b')],
    ];
    const place = {
      files: realFiles,
      layout,
      settings: loadSettings(realFiles, layout),
      identity: loadIdentity(realFiles, layout).identity,
      log: () => undefined,
    };
    const tx = 9_999;
    await using _swaps = await swapping(userOf('agent'), swaps);
    for (let i = 0; i < looksBesideSwaps; i += 1) {
      tidyAgentPlaces(place);
      const { entries } = takeSnapshot(realFiles, layout, tx, 1024 ** 2, place.settings.agentUser);
      const copy = join(updater, 'snapshots', String(tx), 'state.db');
      if (entries[0]?.found === 'copied') expect(readFileSync(copy, 'utf8')).not.toContain("root's");
    }
    expect(guarded()).toBe(before);
    realFiles.removeTree(join(updater, 'snapshots', String(tx)));
  });

  it('gets nobody to talk to what its socket leads to', async () => {
    const { agentSocket } = box.layout;
    const connections = join(outside, 'connections');
    const listen = `require('node:net').createServer(() => require('node:fs').appendFileSync('${connections}', 'x')).listen('${outside}/root.sock', () => console.log('up'))`;
    const server = spawn(join(box.options.os, 'node'), ['-e', listen], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(server.stdout, 'data');
    try {
      await as('agent', `rm ${agentSocket}; ln -s ${outside}/root.sock ${agentSocket}`);
      await run();
      expect(readdirSync(outside)).not.toContain('connections');
    } finally {
      server.kill('SIGKILL');
    }
  });
});
