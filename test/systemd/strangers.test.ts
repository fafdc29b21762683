import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/world/free-port.ts';
import { until } from '../support/world/wait.ts';
import type { Machine } from './machine.ts';
import { comesWithinMs, Site, serves } from './site.ts';

/** Under the units: what the page's user leaves in the way touches neither root's files nor the agent. */
const site = new Site();
const base = '/var/lib/holdfast';
const requests = `${base}/run/requests`;
const agentUnit = 'holdfast-agent.service';
let machine: Machine;

/** As the page's user, without any right. */
function asPage(script: string) {
  const user = ['setpriv', '--reuid=hf-page', '--regid=hf-page', '--clear-groups', '--no-new-privs'];
  return machine.try([...user, 'sh', '-c', script]);
}

const lines = async (...words: readonly string[]) => (await machine.command(...words)).split('\n').filter(Boolean);

beforeAll(async () => {
  await site.found();
  machine = await site.appliance('strangers', await site.tree('1.0.52'));
  await serves(machine, '1.0.52');
});

afterAll(() => site[Symbol.asyncDispose]());

describe("under systemd, the page's user", () => {
  it('has a tmpfs of its own to ask in, with a bound for bytes and for names', async () => {
    const mounts = await lines('grep', ` ${requests} tmpfs `, '/proc/mounts');
    expect(mounts).toHaveLength(1);
    expect(mounts[0]).toMatch(/nosuid.*nodev.*noexec.*size=1024k.*nr_inodes=256/);
    expect(await machine.command('stat', '--format=%U %G %a', requests)).toContain('hf-page hf-page 700');
  });

  it('who fills it takes no room from run/, loses what was left there, and the agent is not stopped (S48)', async () => {
    const before = await machine.property(agentUnit, 'InvocationID');
    const bytes = await asPage(`head -c 20000000 /dev/zero > ${requests}/junk`);
    expect(bytes.stderr).toContain('No space left on device');
    await until('what was left there is gone', comesWithinMs, async () =>
      (await lines('ls', requests)).length === 0 ? true : null,
    );
    const names = await asPage(`cd ${requests} && for i in $(seq 1000); do : > f$i || exit 7; done`);
    expect(names.exitCode).not.toBe(0);
    const free = await machine.command('stat', '--file-system', '--format=%a %S', `${base}/run`);
    const [blocks = 0, size = 0] = free.trim().split(' ').map(Number);
    expect(blocks * size).toBeGreaterThan(8 * 1024 * 1024);
    await until('what was left there is gone again', comesWithinMs, async () =>
      (await lines('ls', requests)).length === 0 ? true : null,
    );
    await serves(machine, '1.0.52');
    expect(await machine.property(agentUnit, 'InvocationID')).toBe(before);
    expect(await machine.journal('holdfast-updater.service')).toMatch(/run\/requests held \d+ names/);
  });

  it('who removes all that is left in its place keeps no command of root’s from the updater', async () => {
    const own = `${base}/run/own-requests`;
    expect(await machine.command('stat', '--format=%U %G %a', own)).toContain('root root 700');
    expect((await asPage(`ls ${own} || rmdir ${own}`)).exitCode).not.toBe(0);
    const thief = asPage(`cd ${requests} && timeout 20 sh -c 'while :; do rm -f -- *.json *.tmp; done'`);
    expect(await machine.command('/usr/bin/holdfast-updater', 'check')).toContain('Nothing new');
    await thief;
  });

  it('who made a link to updater/ of its uploads, on an appliance from before, has nothing removed there', async () => {
    const digest = () =>
      machine.command('sh', '-c', `cd ${base}/updater && sha256sum identity.json identity.key settings.json`);
    const before = await digest();
    const id = '11111111-2222-4333-8444-555555555555';
    const request = JSON.stringify({ v: 1, id, kind: 'install', file: `${base}/page/uploads/identity.json` });
    await machine.command('chown', 'hf-page:hf-page', `${base}/page`);
    // Both by one command: between two, a run would put page/ in order.
    const link = `cd ${base}/page && mv uploads u.saved && ln -s ${base}/updater uploads`;
    const ask = `umask 077 && echo '${request}' > ${requests}/${id}.tmp && mv ${requests}/${id}.tmp ${requests}/${id}.json`;
    const planted = await asPage(`${link} && ${ask}`);
    expect(planted.exitCode, planted.stderr).toBe(0);
    const answered = await until('it is answered', comesWithinMs, async () => {
      const { lastRequest } = await machine.status();
      return lastRequest?.id === id ? lastRequest : null;
    });
    expect(answered).toMatchObject({ outcome: 'refused', code: 'no-file' });
    expect(await digest()).toBe(before);
    const owners = await lines('stat', '--format=%U %F', `${base}/page`, `${base}/page/uploads`);
    expect(owners).toEqual(['root directory', 'hf-page directory']);
    expect((await asPage(`mv ${base}/page/uploads ${base}/page/x`)).exitCode).not.toBe(0);
  });

  it('still checks PINs, and counts the wrong ones on disk, where it makes no names', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    machine.dropIn('holdfast-page.socket', `[Socket]\nListenStream=\nListenStream=${address}\n`);
    await machine.command('systemctl', 'daemon-reload');
    await machine.command('systemctl', 'restart', 'holdfast-page.socket');
    const body = new URLSearchParams({ pin: '00000000' });
    const page = `http://${address}`;
    const answer = await fetch(`${page}/rollback`, {
      method: 'POST',
      body,
      headers: { origin: page },
      redirect: 'manual',
    });
    expect(answer.status).toBe(403);
    const counted: unknown = JSON.parse(await machine.command('cat', `${base}/page/failures.json`));
    expect(counted).toMatchObject({ v: 2, peers: [['uid:0', 1, expect.any(Number)]] });
    // The kernel names who asks, inside of the unit's sandbox too: the agent's user is refused, another counts by itself.
    const ask = `fetch('${page}/rollback', { method: 'POST', body: new URLSearchParams({ pin: '00000000' }) })
      .then((answer) => answer.status, (error) => error.cause.code).then(console.log)`;
    const askAs = async (user: string) => {
      const words = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--no-new-privs'];
      return (await machine.command(...words, '/usr/lib/holdfast/node', '-e', ask)).trim();
    };
    expect(['403', 'ECONNRESET', 'UND_ERR_SOCKET']).toContain(await askAs('hf-agent'));
    expect(await machine.journal('holdfast-page.service')).toContain("not for the agent's user");
    expect(await askAs('hf-page')).toBe('403');
    const after: unknown = JSON.parse(await machine.command('cat', `${base}/page/failures.json`));
    const pageUid = (await machine.command('id', '-u', 'hf-page')).trim();
    const each = [expect.stringMatching(/^uid:/), 1, expect.any(Number)];
    expect(after).toMatchObject({ peers: [['uid:0', 1, expect.any(Number)], each] });
    expect(JSON.stringify(after)).toContain(`"uid:${pageUid}"`);
  });
});
