import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { requestShape } from '../../../protocol/request.ts';
import { PageBox, soundStatus } from './page-box.ts';

async function started(): Promise<PageBox> {
  const box = new PageBox();
  await box.start();
  return box;
}

function visible(text: string): string {
  return text
    .replace(/<(style|script)[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#39;/g, "'")
    .replace(/\s+/g, ' ');
}

/** Every action of the page is offered. */
function expectActions(text: string): void {
  for (const path of ['/check', '/retry', '/rollback', '/install']) expect(text).toContain(`action="${path}"`);
}

describe('the page', () => {
  it('says how the appliance is doing, in the words of the updater', async () => {
    const box = await started();
    box.writeStatus(soundStatus(box.clock));
    box.clock.monoMs += 12_000;
    const { status, text } = await box.ask();
    expect(status).toBe(200);
    expect(text).toContain('<header id="verdict" class="ok">');
    expect(visible(text)).toContain('1.0.52 runs and is healthy. till-3, as of 12 s ago');
    expect(visible(text)).toContain('Last answer 12 s ago');
    expectActions(text);
  });

  it('says what a person should see to, and why the updater was stopped', async () => {
    const box = await started();
    const why = 'The updater was stopped: the data partition takes no change any more (disk-read-only).';
    box.writeStatus({
      ...soundStatus(box.clock),
      verdict: { word: 'blocked', sentence: why },
      why,
      stopped: { code: 'disk-read-only', text: 'it takes no change', next: 'Look at the disk.' },
      notices: ['the factory agent is damaged <b>'],
    });
    const { text } = await box.ask();
    expect(visible(text)).toContain(why);
    expect(text).toContain('<p class="trouble">the factory agent is damaged &lt;b&gt;</p>');
    expectActions(text);
  });

  it('shows trial, quarantine, crashes and what went wrong with the server', async () => {
    const box = await started();
    box.writeStatus({
      ...soundStatus(box.clock),
      trial: { healthyMs: 4_000, needMs: 600_000, leftMs: 1_700_000 },
      quarantine: [{ manifest: 'a'.repeat(64), version: '1.0.53', reason: 'trial', verdict: 'stalled' }],
      agent: {
        ...soundStatus(box.clock).agent,
        alive: false,
        pid: null,
        crashes: 3,
        lastExit: { code: 1, signal: null },
        lastOutput: 'Error: no attribute',
        told: ['The duty meter failed and is tried again in 60 s: no port.'],
      },
      checkIn: {
        last: null,
        error: { code: 'ECONNREFUSED', message: 'The server does not answer.', next: 'Look at the cable.' },
        nextInS: null,
      },
    });
    const text = visible((await box.ask()).text);
    for (const part of [
      'Healthy for 4.0 s of the 10 min',
      '1.0.53 is not taken again by itself: stalled',
      'does not run',
      'Crashes 3',
      'status 1',
      'Error: no attribute',
      'It tells The duty meter failed and is tried again in 60 s: no port.',
      'The server does not answer. Look at the cable.',
      'Last answer none yet',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('says what lies on a stick, why it was not taken, and why nobody can go back, before anybody asks for it', async () => {
    const box = await started();
    box.writeStatus({
      ...soundStatus(box.clock),
      sticks: [
        { path: '/media/usb0/app.hfb', version: '1.0.40', text: '1.0.40 is not newer than 1.0.52, which runs.' },
      ],
      back: { version: '1.0.51', refused: { code: 'revoked', text: '1.0.51 was revoked.' } },
    });
    const { text } = await box.ask();
    expect(visible(text)).toContain('On a stick /media/usb0/app.hfb 1.0.40 is not newer than 1.0.52, which runs.');
    expect(visible(text)).toContain('Go back 1.0.51 was revoked.');
    expectActions(text);
  });

  it('has a name for a component of the future', async () => {
    const box = await started();
    const release = { component: 'firmware', version: '2.0.0', manifest: 'a'.repeat(64) };
    box.writeStatus({ ...soundStatus(box.clock), desired: { release, reasons: [] } });
    expect(visible((await box.ask()).text)).toContain('Wanted firmware 2.0.0');
  });

  it('escapes whatever the agent and the server wrote', async () => {
    const box = await started();
    const evil = `</pre><script>alert(1)</script>"'><img src=x onerror=alert(1)>`;
    const sound = soundStatus(box.clock);
    box.writeStatus({
      ...sound,
      name: evil,
      server: evil,
      why: evil,
      verdict: { word: 'blocked', sentence: evil },
      agent: { ...sound.agent, lastOutput: evil, checks: { [evil.slice(0, 40)]: 'a"><b>' } },
      slots: [{ component: 'app', slot: '0', role: '"><b>', version: evil, manifest: null }],
    });
    const { text } = await box.ask();
    expect(text).not.toContain('<script>alert');
    expect(text).not.toContain('<img');
    expect(text).not.toContain('"><b>');
  });

  it('lets nothing run or load that is not its own', async () => {
    const box = await started();
    const [first, second] = [await box.ask(), await box.ask()];
    const csp = first.headers['content-security-policy'];
    expect(csp).toMatch(/default-src 'none'; style-src 'nonce-[^']+'; script-src 'nonce-[^']+'/);
    expect(csp).not.toContain('unsafe');
    expect(csp).not.toBe(second.headers['content-security-policy']);
    expect(first.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(first.text).not.toMatch(/(src|href)="(https?:)?\/\//);
  });
});

describe('where the status cannot be trusted', () => {
  it.each<[string, (box: PageBox) => void, string]>([
    ['is missing', () => undefined, 'has not written a status'],
    ['is no JSON', (box) => writeFileSync(box.layout.status, '{"v":1,'), 'cannot be read'],
    ['has another shape', (box) => box.writeStatus({ v: 2 }), 'not one that this page reads'],
    ['is too large', (box) => writeFileSync(box.layout.status, 'x'.repeat(300_000)), 'cannot be read'],
    [
      'is old',
      (box) => {
        box.writeStatus(soundStatus(box.clock));
        box.clock.monoMs += 6 * 60_000;
      },
      'has not looked for 6 minutes',
    ],
    [
      'is of another boot',
      (box) => {
        box.writeStatus(soundStatus({ ...box.clock, boot: 'boot-0' }));
      },
      'has not looked since the appliance started',
    ],
  ])('because it %s, the page is there, says unknown, and offers everything', async (_, spoil, sentence) => {
    const box = await started();
    spoil(box);
    const { status, text } = await box.ask();
    expect(status).toBe(200);
    expect(text).toContain('<header id="verdict" class="unknown">');
    expect(visible(text)).toContain('How this appliance is doing is not known.');
    expect(visible(text)).toContain(sentence);
    expectActions(text);
    expect(JSON.parse((await box.ask({ path: '/status.json' })).text)).toMatchObject({ known: false });
  });

  it('because its word is of the future, it is unknown and not ok', async () => {
    const box = await started();
    box.writeStatus({ ...soundStatus(box.clock), verdict: { word: 'splendid', sentence: 'All is splendid.' } });
    expect((await box.ask()).text).toContain('<header id="verdict" class="unknown">');
  });

  it('a file of a version without a stamp is judged by its own time', async () => {
    const box = await started();
    const { at: _, ...unstamped } = soundStatus(box.clock);
    box.writeStatus(unstamped);
    box.clock.wallS = Math.floor(Date.now() / 1000) + 3_600;
    expect((await box.ask()).text).toContain('class="unknown"');
    box.clock.wallS -= 3_600;
    expect((await box.ask()).text).toContain('class="ok"');
  });
});

describe('status.json', () => {
  it('says the same for programs', async () => {
    const box = await started();
    box.writeStatus(soundStatus(box.clock));
    const { headers, text } = await box.ask({ path: '/status.json' });
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(text)).toMatchObject({ known: true, why: null, ageMs: 0, status: { name: 'till-3' } });
  });
});

describe('an action', () => {
  const manifest = 'a'.repeat(64);
  it.each([
    ['/check', {}, { kind: 'check' }],
    ['/retry', {}, { kind: 'retry' }],
    ['/retry', { manifest }, { kind: 'retry', manifest }],
    ['/rollback', {}, { kind: 'rollback' }],
  ])('%s with %j leaves its request for the updater', async (path, fields, expected) => {
    const box = await started();
    const { status, headers } = await box.post(path, { pin: box.pin, ...fields });
    expect(status).toBe(303);
    const [request] = box.requests().map((found) => requestShape.parse(found));
    expect(request).toMatchObject(expected);
    expect(headers.location).toBe(`/?asked=${request?.id}`);
  });

  it.each(['/check', '/retry', '/rollback'])('%s with a wrong PIN does nothing and says so', async (path) => {
    const box = await started();
    const { status, text } = await box.post(path, { pin: '00000000' });
    expect(status).toBe(403);
    expect(visible(text)).toContain('The PIN is wrong, and nothing was done. 4 more tries');
    expectActions(text);
    expect(box.requests()).toEqual([]);
  });

  it('without a PIN does nothing', async () => {
    const box = await started();
    expect((await box.post('/check', {})).status).toBe(403);
    expect(box.requests()).toEqual([]);
  });

  it('after too many wrong PINs says how long to wait', async () => {
    const box = await started();
    for (let i = 0; i < 5; i += 1) await box.post('/check', { pin: '00000000' });
    const { status, headers, text } = await box.post('/check', { pin: box.pin });
    expect(status).toBe(429);
    expect(headers['retry-after']).toBe('2');
    expect(visible(text)).toContain('Try again in 2 s');
    expect(box.requests()).toEqual([]);
  });

  it('is followed until the updater has answered', async () => {
    const box = await started();
    const { headers } = await box.post('/check', { pin: box.pin });
    const path = headers.location ?? '';
    utimesSync(box.layout.requests, 1, 1);
    expect(visible((await box.ask({ path })).text)).toContain('Your request waits for the updater.');
    // Whoever looks knocks again: a run that was just ending heard nothing.
    expect(statSync(box.layout.requests).mtimeMs).toBeGreaterThan(1_000);
    const id = path.slice('/?asked='.length);
    const answered = (answer: object) =>
      box.writeStatus({ ...soundStatus(box.clock), lastRequest: { id, outcome: 'done', text: '', ...answer } });
    answered({ text: 'looking for a release now', open: true });
    expect((await box.ask({ path })).text).toContain('notice waiting');
    answered({ outcome: 'failed', code: 'stalled', text: '1.0.53 was rolled back' });
    expect(visible((await box.ask({ path })).text)).toContain('Your request: 1.0.53 was rolled back (stalled)');
    answered({ outcome: 'refused', text: 'there is no previous version' });
    expect(visible((await box.ask({ path })).text)).toContain('Your request: there is no previous version');
  });

  it('works where no status can be read', async () => {
    const box = await started();
    writeFileSync(box.layout.status, 'rotten');
    expect((await box.post('/rollback', { pin: box.pin })).status).toBe(303);
    expect(box.requests()).toHaveLength(1);
  });

  it('is refused when many wait already', async () => {
    const box = await started();
    for (let i = 0; i < 8; i += 1) expect((await box.post('/check', { pin: box.pin })).status).toBe(303);
    expect((await box.post('/check', { pin: box.pin })).status).toBe(503);
    expect(box.requests()).toHaveLength(8);
  });

  it('with a form that is too large or none is refused', async () => {
    const box = await started();
    expect((await box.post('/check', { pin: 'x'.repeat(5_000) })).status).toBe(413);
    expect((await box.post('/check', { pin: box.pin }, { 'content-type': 'application/json' })).status).toBe(400);
    expect((await box.post('/retry', { pin: box.pin, manifest: '../..' })).status).toBe(400);
    expect(box.requests()).toEqual([]);
    expect(box.failures()).toBeNull();
  });
});

describe('what is not there', () => {
  it.each([
    ['GET', '/etc/passwd', 404],
    ['GET', '/check', 404],
    ['GET', '//evil.example/', 404],
    ['POST', '/reboot', 405],
    ['PUT', '/', 405],
    ['DELETE', '/status.json', 405],
  ])('%s %s is refused with %i', async (method, path, status) => {
    const box = await started();
    expect((await box.ask({ method, path })).status).toBe(status);
  });
});
