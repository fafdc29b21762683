import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { told } from '../scenarios/scene.ts';
import { checkout } from '../support/world/checkout.ts';
import { freePort } from '../support/world/free-port.ts';
import { until } from '../support/world/wait.ts';
import type { Machine } from './machine.ts';
import { comesWithinMs, lookEachSecond, Site, serves, shortenTrials } from './site.ts';
import { shippedUnits } from './units.ts';

/** One appliance's life under systemd, from the lines of README on. */
const site = new Site();
const name = 'harbour-9';
const units = {
  agent: 'holdfast-agent.service',
  updater: 'holdfast-updater.service',
  page: 'holdfast-page.service',
} as const;
let machine: Machine;
let page = '';
let pin = '';

/** What README says to type on the machine. */
function readmeLines(): string[][] {
  const text = readFileSync(join(checkout, 'README.md'), 'utf8');
  const block = /```bash\n(cp -a [\s\S]*?)```/.exec(text)?.[1] ?? '';
  return block
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/));
}

async function rollOut(version: string): Promise<void> {
  await site.world.publish(await site.world.builder.app(version));
  await site.world.server.startRollout(version);
}

/** How often systemd has started a unit of the machine in this boot. */
async function starts(unit: string): Promise<number> {
  const words = ['--no-pager', '--quiet', '--output=cat', '--boot', `--unit=${unit}`, '--grep=^Started '];
  return (await machine.try(['journalctl', ...words])).stdout.split('\n').filter((line) => line !== '').length;
}

beforeAll(async () => {
  await site.found();
  machine = await site.plainMachine(name);
  // Not /tmp: that is the machine's own while it runs.
  await execa('cp', ['-a', await site.tree('1.0.49'), join(machine.root, 'srv', 'tree')]);
  const port = await freePort();
  page = `http://127.0.0.1:${port}`;
  machine.dropIn('holdfast-page.socket', `[Socket]\nListenStream=\nListenStream=127.0.0.1:${port}\n`);
  await machine.boot();
});

afterAll(() => site[Symbol.asyncDispose]());

describe('a plain Debian machine', () => {
  it('becomes an appliance by the lines of README', async () => {
    const claim = await site.world.server.claim(name, 'lab');
    const lines = readmeLines();
    expect(lines.map(([program]) => program)).toEqual(['cp', 'systemd-sysusers', 'systemctl', 'holdfast-updater']);
    machine.write('/root/claim', claim);
    for (const words of lines) {
      const named = words.map((word) => ({ URL: site.world.server.url, '/tmp/tree/.': '/srv/tree/.' })[word] ?? word);
      // A person is asked for the code; nobody sits here.
      const typed = words.includes('setup') ? [...named, '--claim-file', '/root/claim'] : named;
      const answer = await machine.command(...typed);
      pin = /PIN[^:]*: (\S+)/.exec(answer)?.[1] ?? pin;
    }
    expect(pin).toMatch(/^\d+$/);
    const status = await serves(machine, '1.0.49');
    expect(status.verdict.word).toBe('ok');
    const both = await until('both programs check in', comesWithinMs, async () => {
      const { checkIns } = await site.world.server.appliance(name);
      return checkIns.agent !== null && checkIns.updater !== null ? checkIns : null;
    });
    expect(both.agent).not.toBeNull();
  });

  it.each(['/tmp', '/root', '/home'])(
    'takes a bundle from %s, which the unit of the updater does not see',
    async (place) => {
      const file = `${place}/not-whole.hfb`;
      await machine.command('sh', '-c', `echo no bundle > ${file}`);
      expect((await machine.command('cat', file)).trim()).toBe('no bundle');
      const { exitCode, stderr } = await machine.try(['holdfast-updater', 'install', file, '--json']);
      // It was read: what is wrong with it is told, by its name.
      expect(exitCode).toBe(1);
      expect(JSON.parse(stderr)).toMatchObject({ code: 'truncated', message: expect.stringContaining(file) });
      expect((await machine.command('ls', '/var/lib/holdfast/updater/handed')).trim()).toBe('');
    },
  );

  it('runs the agent and the page as users of their own, the page only while somebody looks', async () => {
    expect(await machine.property(units.page, 'ActiveState')).toBe('inactive');
    const html = await (await fetch(page)).text();
    expect(html).toContain('1.0.49');
    for (const [unit, user] of [
      [units.agent, 'hf-agent'],
      [units.page, 'hf-page'],
    ] as const) {
      const pid = await machine.property(unit, 'MainPID');
      expect((await machine.command('stat', '-c', '%U', `/proc/${pid}`)).trim()).toBe(user);
    }
    expect(await machine.property(units.updater, 'ActiveState')).toBe('inactive');
  });

  it('has units that systemd itself calls well confined', async () => {
    // Under names of their own: what a test adds to a unit is none of what is shipped.
    for (const unit of Object.values(units)) {
      await machine.command('cp', `/usr/lib/systemd/system/${unit}`, `/srv/shipped-${unit}`);
    }
    const files = Object.values(units).map((unit) => `/srv/shipped-${unit}`);
    const text = await machine.command('systemd-analyze', 'security', '--offline=yes', '--no-pager', ...files);
    const found = [...text.matchAll(/for shipped-(holdfast-\S+\.service): (\d+\.\d)/g)];
    const scores = Object.fromEntries(found.map(([, unit, score]) => [unit, Number(score)]));
    expect(scores[units.agent]).toBeLessThanOrEqual(1.8);
    expect(scores[units.page]).toBeLessThanOrEqual(1.8);
    expect(scores[units.updater]).toBeLessThanOrEqual(3.2);
  });

  it('S17: has no unit that waits for itself, and a boot that is over', async () => {
    const waits = (text: string) =>
      [...text.matchAll(/^Exec\w+=(.*systemctl .*)$/gm)]
        .map(([, line = '']) => line)
        // A signal is no job that anybody waits for.
        .filter((line) => !line.includes('--no-block') && !line.includes('systemctl kill '));
    for (const [unit, text] of shippedUnits()) expect(waits(text), unit).toEqual([]);
    expect(waits('ExecStart=/usr/bin/systemctl restart holdfast-agent.service')).toHaveLength(1);
    // A cycle of order at boot is broken by leaving a unit out, another one at each boot.
    const cycles = async () => {
      const { stdout, stderr } = await machine.try(['systemd-analyze', 'verify', 'multi-user.target']);
      return `${stdout}${stderr}`.split('\n').filter((line) => line.includes('ordering cycle'));
    };
    expect(await cycles()).toEqual([]);
    machine.dropIn('holdfast-run.service', '[Unit]\nAfter=basic.target\n');
    expect(await cycles()).not.toEqual([]);
    await machine.command('rm', '/etc/systemd/system/holdfast-run.service.d/test.conf');
    await machine.command('systemctl', 'daemon-reload');
    expect(await machine.command('systemctl', 'list-jobs')).toContain('No jobs running');
  });

  it('comes back by itself when the plug was pulled', async () => {
    await shortenTrials(machine);
    lookEachSecond(machine);
    await machine.pullThePlug();
    await machine.boot();
    await serves(machine, '1.0.49');
  });
});

describe('an appliance under systemd', () => {
  it('gets the fix although an order makes its agent crash beyond its burst (S1, S28)', async () => {
    await site.world.server.sendOrder(name, 'update_iso');
    await until('systemd has given the agent up', comesWithinMs, async () =>
      (await machine.journal(units.agent)).includes('Start request repeated too quickly') ? true : null,
    );
    await rollOut('1.0.52');
    expect(told((await serves(machine, '1.0.52')).transactions)).toEqual(['1.0.49 -> 1.0.52 committed']);
    const crashes = await site.world.server.events(name, 'agent-crashed');
    expect(crashes.length).toBeGreaterThan(0);
    expect(crashes.map(({ text }) => text).join()).toContain('1.0.49 ended by itself (1)');
  });

  it('goes back from a release that dies in its trial, and tells its last words', async () => {
    await rollOut('1.0.55');
    const publishedMs = performance.now();
    const { transactions } = await until('it went back', comesWithinMs, async () => {
      const status = await machine.status();
      return status.row === 'idle' && status.transactions.length === 2 ? status : null;
    });
    expect(performance.now() - publishedMs).toBeLessThan(25_000);
    expect(told(transactions)[1]).toMatch(/^1\.0\.52 -> 1\.0\.55 rolled-back/);
    await serves(machine, '1.0.52');
    const evidence = await machine.command('sh', '-c', 'cat /var/lib/holdfast/updater/evidence/*/*');
    expect(evidence).toContain('the pump controller is not there');
  });

  it('commits in time although its updater is killed in the trial', async () => {
    await site.world.publish(await site.world.builder.unpatched('1.0.70'));
    await site.world.server.startRollout('1.0.70');
    await until('the trial', comesWithinMs, async () => ((await machine.status()).row === 'trial' ? true : null));
    const pid = await machine.property(units.updater, 'MainPID');
    expect(Number(pid)).toBeGreaterThan(1);
    await machine.command('systemctl', 'kill', '--signal=SIGKILL', units.updater);
    const killedMs = performance.now();
    await serves(machine, '1.0.70');
    expect(performance.now() - killedMs).toBeLessThan(30_000);
    expect(await machine.journal(units.updater)).toContain('status=9/KILL');
  });

  it('goes back from the page', async () => {
    const body = new URLSearchParams({ pin });
    const answer = await fetch(`${page}/rollback`, {
      method: 'POST',
      body,
      headers: { origin: page },
      redirect: 'manual',
    });
    expect(answer.status).toBeLessThan(400);
    expect(told((await serves(machine, '1.0.52')).transactions).at(-1)).toMatch(/^1\.0\.70 -> 1\.0\.52/);
  });

  it('ends an agent that stands still long after its commit, and starts it again (S58)', async () => {
    const pid = await machine.property(units.agent, 'MainPID');
    expect(Number(pid)).toBeGreaterThan(1);
    await machine.command('systemctl', 'kill', '--signal=SIGSTOP', units.agent);
    const isStopped = async () => /\) T /.test(await machine.command('cat', `/proc/${pid}/stat`));
    await until('it stands still', comesWithinMs, async () => ((await isStopped()) ? true : null));
    // systemd sees nothing amiss.
    expect(await machine.property(units.agent, 'SubState')).toBe('running');
    const word = await until('it is noticed', comesWithinMs, async () => {
      const { verdict, why } = await machine.status();
      return why.includes('has not answered') ? verdict.word : null;
    });
    expect(word).toBe('blocked');
    await until('another one runs', comesWithinMs, async () => {
      const now = await machine.property(units.agent, 'MainPID');
      return now !== pid && Number(now) > 1 ? true : null;
    });
    const status = await until('it works', comesWithinMs, async () => {
      const found = await machine.status();
      return found.verdict.word === 'attention' || found.verdict.word === 'ok' ? found : null;
    });
    expect(status.agent).toMatchObject({ version: '1.0.52', crashes: 0 });
    expect(await machine.journal(units.updater)).toMatch(
      /1\.0\.52 runs, but has not answered.*ended and started again/,
    );
  });

  it('is not kept busy by a flood of hints', async () => {
    machine.dropIn('holdfast-updater.timer', '[Timer]\nOnActiveSec=\nOnActiveSec=1h\nOnUnitInactiveSec=1h\n');
    await machine.command('systemctl', 'daemon-reload');
    await machine.command('systemctl', 'stop', 'holdfast-hint.service');
    await machine.command('systemctl', 'restart', 'holdfast-updater.timer', 'holdfast-hint.path');
    const before = await starts(units.updater);
    const hint = '/var/lib/holdfast/run/hint';
    const flood = `for i in $(seq 1 2000); do touch ${hint}; done; stat -c %Y ${hint}`;
    const touchedS = Number((await machine.command('runuser', '-u', 'hf-agent', '--', 'sh', '-c', flood)).trim());
    expect(Date.now() / 1000 - touchedS).toBeLessThan(30);
    await until('the first hint is taken', comesWithinMs, async () =>
      (await starts(units.updater)) > before ? true : null,
    );
    expect((await starts(units.updater)) - before).toBeLessThanOrEqual(2);
    expect(await machine.property('holdfast-hint.path', 'ActiveState')).toBe('active');
  });
});
