import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemFiles } from '../../../agent/effects/files.ts';
import { misspeltIn } from '../../../agent/misspelt.ts';
import { readSettings } from '../../../agent/settings.ts';
import { nextSources } from '../../../image/signed-sources.ts';
import { findConnection } from '../../../server-lite/cli/connection.ts';
import { realFiles } from '../../../updater/effects/files.ts';
import { settingsInForce } from '../../../updater/identity/settings.ts';
import { takeStickSources } from '../../../updater/requests/stick-sources.ts';
import { checkout, nodeBinary } from '../../support/world/checkout.ts';
import { temporaryAppliance } from '../support/temporary-appliance.ts';
import { testAppliance } from '../support/test-appliance.ts';

function place(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hf-misspelt-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function written(value: unknown, name = 'file.json'): string {
  const path = join(place(), name);
  writeFileSync(path, JSON.stringify(value));
  return path;
}

describe('a misspelt word in a file that a person wrote', () => {
  it('settings.json: the run goes on, and the status says so', () => {
    const layout = temporaryAppliance();
    writeFileSync(
      layout.settings,
      JSON.stringify({ processControl: { kind: 'systemd' }, stiks: ['/media'], sampleMs: 70 }),
    );
    const { settings, notice } = settingsInForce(realFiles, layout);
    expect(settings).toMatchObject({ sampleMs: 70, sticks: [] });
    expect(notice).toMatch(/settings\.json: "stiks" is not known \(sticks is\), so it does nothing/);
    writeFileSync(layout.settings, JSON.stringify({ processControl: { kind: 'systemd' } }));
    expect(settingsInForce(realFiles, layout).notice).toBeNull();
  });

  it('sources FILE is refused, and says which word', async () => {
    const layout = temporaryAppliance();
    mkdirSync(layout.requests);
    const file = written({ relaeses: [] });
    const words = ['sources', file, '--json', '--root', layout.root];
    const { exitCode, stderr } = await execa(nodeBinary, [join(checkout, 'updater', 'main.ts'), ...words], {
      reject: false,
    });
    expect([exitCode, JSON.parse(stderr)]).toEqual([
      1,
      expect.objectContaining({
        code: 'sources-invalid',
        message: expect.stringContaining('"relaeses" is not known (releases is)'),
      }),
    ]);
    const url = written({ releases: [{ name: 'cache', kind: 'cache', url: 'cache.site:8080' }] });
    const wrong = await execa(
      nodeBinary,
      [join(checkout, 'updater', 'main.ts'), 'sources', url, '--root', layout.root],
      { reject: false },
    );
    expect(wrong.stderr).toMatch(/sources-invalid: .*releases\.0\.url/);
  });

  it('holdfast-sources.json of a stick is not taken', () => {
    const { appliance, lines } = testAppliance(temporaryAppliance());
    const sources = { seq: 1, releases: [], proxy: null, ca: { pins: [], pem: [] }, rateBytesPerS: null, ratePerS: 5 };
    takeStickSources(appliance, '/media/x/holdfast-sources.json', Buffer.from(JSON.stringify(sources)));
    expect(lines.at(-1)).toContain('"ratePerS" is not known');
    expect(realFiles.stat(appliance.layout.sources)).toBeNull();
  });

  it('signed sources and the configuration of the command line are refused', async () => {
    await expect(nextSources(null, written({ proxi: null }))).rejects.toMatchObject({
      code: 'sources-invalid',
      message: expect.stringContaining('"proxi" is not known (proxy is)'),
    });
    const config = written({ url: 'http://127.0.0.1:1', tokenFile: 'token', tokenfile: 'x' });
    chmodSync(config, 0o600);
    expect(() => findConnection({}, { directory: place(), config })).toThrow('"tokenfile" is not known (tokenFile is)');
  });

  it('release.json is refused', async () => {
    const file = written({ version: '1.0.0', securtyVersion: 3 }, 'release.json');
    const out = place();
    const words = [
      'build',
      '--component',
      'app',
      '--release',
      join(file, '..'),
      '--repository',
      out,
      '--server-keys',
      file,
      '--out',
      out,
    ];
    const { exitCode, stderr } = await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), ...words], {
      reject: false,
    });
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('"securtyVersion" is not known (securityVersion is)');
  });

  it('agent.json: what is near a field is told of, what is of another version is not', () => {
    expect(misspeltIn({ kept: { intervallMs: 5 } })).toBe('"intervallMs" is not known (intervalMs is)');
    expect(misspeltIn({ kept: { gain: 1, mcp_api_key_file: 'x' } })).toBe('');
  });
});

describe('a byte order mark, which some editors put before what a person wrote', () => {
  const marked = (value: unknown, name?: string) => {
    const path = written(value, name);
    writeFileSync(path, `\uFEFF${JSON.stringify(value)}`);
    return path;
  };

  it('settings.json is read as without it', () => {
    const layout = temporaryAppliance();
    writeFileSync(layout.settings, `\uFEFF${JSON.stringify({ processControl: { kind: 'systemd' }, sampleMs: 70 })}`);
    expect(settingsInForce(realFiles, layout)).toMatchObject({ settings: { sampleMs: 70 }, notice: null });
  });

  it('agent.json is read as without it', async () => {
    const found = await readSettings(systemFiles, marked({ intervalMs: 5_000 }));
    expect([found.intervalMs, found.problems]).toEqual([5_000, []]);
  });

  it('sources are taken from a stick and an operator', async () => {
    const releases = [{ name: 'cache', kind: 'cache', url: 'http://cache.site:8080' }];
    expect(await nextSources(null, marked({ releases }))).toMatchObject({ seq: 1, releases });

    const { appliance } = testAppliance(temporaryAppliance());
    const onStick = { seq: 1, releases, proxy: null, ca: { pins: [], pem: [] }, rateBytesPerS: null };
    takeStickSources(appliance, '/media/x/holdfast-sources.json', Buffer.from(`\uFEFF${JSON.stringify(onStick)}`));
    expect(JSON.parse(readFileSync(appliance.layout.sources, 'utf8'))).toMatchObject({ current: { releases } });
  });

  it("the command line's configuration is read as without it", () => {
    const config = marked({ url: 'http://127.0.0.1:1', token: 'x'.repeat(40) });
    chmodSync(config, 0o600);
    expect(findConnection({}, { directory: place(), config })).toMatchObject({ url: 'http://127.0.0.1:1' });
  });
});
