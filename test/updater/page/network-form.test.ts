import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requestShape } from '../../../protocol/request.ts';
import type { StatusInput } from '../../../protocol/status.ts';
import { PageBox, soundStatus } from './page-box.ts';

const cache = { name: 'cache', kind: 'cache', url: 'http://cache.site:8080/releases' } as const;
const cdn = { name: 'far & wide', kind: 'cdn', url: 'https://cdn.example/releases' } as const;

async function showing(sources: Partial<NonNullable<StatusInput['sources']>>): Promise<PageBox> {
  const box = new PageBox();
  await box.start();
  const whole = {
    origin: 'page',
    releases: [],
    proxy: null,
    pinned: false,
    rateBytesPerS: null,
    answered: true,
  } as const;
  const sourcesShown = 'a'.repeat(64);
  box.writeStatus({ ...soundStatus(box.clock), sources: { ...whole, ...sources }, sourcesShown });
  return box;
}

/** Sends the form as a browser does: every field as the page shows it, but for those that the person changes. */
async function submit(box: PageBox, changes: Readonly<Record<string, string>>) {
  const { text } = await box.ask();
  const form = /<form[^>]*action="\/set-sources"[\s\S]*?<\/form>/.exec(text)?.[0] ?? '';
  const plain = (value: string) => value.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
  const shown = [...form.matchAll(/<input ([^>]*)>/g)].map(([, attributes = '']) => {
    const value = (name: string) => plain(new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
    return [value('name'), value('value')] as const;
  });
  const fields = { ...Object.fromEntries(shown), pin: box.pin, ...changes };
  const answer = await box.post('/set-sources', fields);
  const names = readdirSync(box.layout.requests).filter((name) => name.endsWith('.json'));
  const requests = names.map((name) =>
    requestShape.parse(JSON.parse(readFileSync(join(box.layout.requests, name), 'utf8'))),
  );
  return { answer, requests };
}

describe('the form for the network path', () => {
  it('writes nothing back that nobody changed', async () => {
    const box = await showing({ releases: [cdn, cache], proxy: 'http://proxy.site:3128/', rateBytesPerS: 200_000 });
    const { requests } = await submit(box, {});
    expect(requests).toMatchObject([{ kind: 'set-sources', sources: {}, shown: 'a'.repeat(64) }]);
  });

  it('leaves the proxy alone, whose name and password it does not show, when only the rate is changed', async () => {
    const box = await showing({ proxy: 'http://proxy.site:3128/' });
    const { requests } = await submit(box, { rate: '50' });
    expect(requests).toMatchObject([{ sources: { rateBytesPerS: 50_000 } }]);
    expect(JSON.stringify(requests)).not.toContain('proxy');
  });

  it('replaces the cache and keeps every other source', async () => {
    const box = await showing({ releases: [cdn, cache] });
    const { requests } = await submit(box, { cache: 'http://other.site/releases' });
    expect(requests).toMatchObject([{ sources: { releases: [{ ...cache, url: 'http://other.site/releases' }, cdn] } }]);
  });

  it('takes away what was emptied, and only that', async () => {
    const box = await showing({ releases: [cache, cdn], proxy: 'http://proxy.site:3128/', rateBytesPerS: 200_000 });
    const { requests } = await submit(box, { cache: '', proxy: '', rate: '' });
    expect(requests).toMatchObject([{ sources: { releases: [cdn], proxy: null, rateBytesPerS: null } }]);
  });

  it.each([
    { cache: 'ftp://x' },
    { cache: 'http://a', 'shown-others': '{' },
    { cache: 'http://a', 'shown-others': '[1]' },
    { rate: 'much' },
  ])('is refused with %o, and nothing is asked for', async (changes) => {
    const { answer, requests } = await submit(await showing({}), changes);
    expect([answer.status, requests]).toEqual([400, []]);
  });
});
