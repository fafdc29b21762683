import { systemClock } from '../effects/clock.ts';
import { dutyTexts } from '../texts.ts';
import type { MadeSetting, Row, WorkContext } from './made.ts';

interface Reach {
  readonly signal: AbortSignal;
  /** What the site wrote, by the setting's name. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What the module exports. */
  readonly defined: readonly MadeSetting<unknown>[];
  readonly assets: string | null;
  call(method: string, ...args: unknown[]): Promise<unknown>;
  log(level: 'info' | 'warn' | 'error', ...words: unknown[]): void;
}

/** What one run gets. */
export function workContext({ signal, settings, defined, assets, call, log }: Reach): WorkContext {
  return {
    signal,
    assets,
    log: {
      info: (...words) => log('info', ...words),
      warn: (...words) => log('warn', ...words),
      error: (...words) => log('error', ...words),
    },
    clock: systemClock,
    store: {
      get: (key) => call('store.get', key),
      set: async (key, value) => void (await call('store.set', key, value)),
      delete: async (key) => void (await call('store.delete', key)),
    },
    table: {
      add: async (row) => Number(await call('table.add', row)),
      rows: async ({ after = 0, limit } = {}) => (await call('table.rows', after, limit)) as Row[],
      newest: async (limit) => (await call('table.newest', limit)) as Row[],
      removeUpTo: async (n) => void (await call('table.removeUpTo', n)),
      count: async () => Number(await call('table.count')),
    },
    records: { add: async (value) => String(await call('records.add', value)) },
    secrets: { get: async ({ name }) => (await call('secrets.get', name)) as string | null },
    settings: {
      get: (setting) => {
        if (!defined.some(({ name }) => name === setting.name)) throw new Error(dutyTexts.notExported(setting.name));
        const found = settings[setting.name];
        if (found === undefined) return setting.standard;
        const parsed = setting.shape.safeParse(found);
        if (parsed.success) return parsed.data;
        // What JSON Schema cannot say is only known here.
        log('warn', dutyTexts.settingDoesNotFit(setting.name, parsed.error.issues[0]?.message ?? ''));
        return setting.standard;
      },
    },
  };
}
