import { describe, expect, it } from 'vitest';
import { html } from '../../protocol/html.ts';
import { TestServer } from '../support/test-server.ts';

async function logIn(bench: TestServer, token: string): Promise<Response> {
  return fetch(`${bench.url}/login`, { method: 'POST', body: new URLSearchParams({ token }), redirect: 'manual' });
}

async function session(bench: TestServer): Promise<{ cookie: string; csrf: string }> {
  const answer = await logIn(bench, bench.token);
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  const page = await (await fetch(`${bench.url}/`, { headers: { cookie } })).text();
  return { cookie, csrf: /name="csrf-token" content="([^"]+)"/.exec(page)?.[1] ?? '' };
}

describe('the dashboard', () => {
  it('shows appliances, orders and rollouts without a token where that was asked for, and offers no changes', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    await client.checkIn('agent');
    await bench.sendOrder('alpha', 'identify');
    await bench.rollOut('1.0.52');
    const page = await (await fetch(`${bench.url}/`)).text();
    for (const text of ['alpha', '1.0.49', 'identify', 'app 1.0.52', 'blocked', (await bench.show('alpha')).why]) {
      expect(page).toContain(text);
    }
    expect(page).not.toContain('data-api');
    expect(page).not.toContain(bench.token);
  });

  it('escapes what appliances say', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    const client = await bench.appliance('alpha');
    const crash = { count: 1, exit: { code: 1, signal: null }, version: '1.0.49', output: '<script>alert(1)</script>' };
    const events = [client.event('updater', { kind: 'agent-crashed', text: '<img src=x onerror=alert(1)>', crash })];
    await client.checkIn('updater', { events, health: { status: 'ok', why: '"><b onclick=alert(1)>' } });
    const page = await (await fetch(`${bench.url}/fragment`)).text();
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).not.toMatch(/<script|<img|<b onclick/);
    expect(html`${'<a href="x">'}`.markup).toBe('&lt;a href=&quot;x&quot;&gt;');
  });

  it('runs nothing but its own script, and cannot be framed', async () => {
    await using bench = await TestServer.start();
    const { headers } = await fetch(`${bench.url}/`);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'; script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    const script = await fetch(`${bench.url}/dashboard.js`);
    expect([script.status, script.headers.get('content-type')]).toEqual([200, 'text/javascript; charset=utf-8']);
  });

  it('lets nobody in with a wrong token, makes guessers wait, and always looks at the right one', async () => {
    await using bench = await TestServer.start();
    for (let i = 0; i < 5; i += 1) expect((await logIn(bench, 'hfo_wrong')).status).toBe(401);
    const delayed = await logIn(bench, 'hfo_wrong');
    expect([delayed.status, delayed.headers.get('retry-after')]).toEqual([429, '2']);
    expect((await logIn(bench, bench.token)).status).toBe(303);
    for (let i = 0; i < 5; i += 1) expect((await logIn(bench, 'hfo_wrong')).status).toBe(401);
    expect((await logIn(bench, 'hfo_wrong')).status).toBe(429);
    bench.clock.aheadMs += 3_000;
    expect((await logIn(bench, 'hfo_wrong')).status).toBe(401);
  });

  it('changes something only with the cookie and the CSRF token of the same session', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.52');
    await bench.appliance('alpha');
    const { id } = await bench.rollOut('1.0.52');
    const { cookie, csrf } = await session(bench);
    const pause = (headers: Record<string, string>) => bench.api('POST', `/api/rollouts/${id}/pause`, {}, headers);
    expect((await pause({ cookie })).status).toBe(403);
    expect((await pause({ cookie, 'x-csrf-token': 'x' })).status).toBe(403);
    expect((await pause({ 'x-csrf-token': csrf })).status).toBe(401);
    expect((await pause({ cookie, 'x-csrf-token': csrf, origin: 'https://evil.example' })).status).toBe(403);
    expect((await bench.rollout(id)).state).toBe('running');
    expect((await pause({ cookie, 'x-csrf-token': csrf })).status).toBe(200);
    expect(await bench.rollout(id)).toMatchObject({ state: 'paused', reason: 'by an operator' });
  });

  it('hands out a cookie that scripts and other sites do not get, and forgets it when locked', async () => {
    await using bench = await TestServer.start();
    const set = (await logIn(bench, bench.token)).headers.get('set-cookie') ?? '';
    expect(set).toMatch(/; HttpOnly; SameSite=Strict$/);
    const { cookie } = await session(bench);
    await fetch(`${bench.url}/logout`, {
      method: 'POST',
      headers: { cookie },
      body: new URLSearchParams(),
      redirect: 'manual',
    });
    expect((await bench.api('GET', '/api/appliances', undefined, { cookie })).status).toBe(401);
  });
});
