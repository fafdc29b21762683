import { eventShape, factOf } from '../../protocol/event.ts';
import type { Db } from './database.ts';
import type { NewsBoard } from './news.ts';
import type { Settings } from './settings.ts';
import { readStored } from './stored-json.ts';

/** How many events of a kind are read: older ones say nothing about today. */
const eventsMax = 100;
const settingName = 'news-kept';
const kinds = [
  'agent-crashed',
  'agent-recovered',
  'release-committed',
  'release-rolled-back',
  'release-refused',
  'note',
] as const;

interface Row {
  readonly serial: number;
  readonly body: string;
  readonly received_at: number;
}

/** Fills the news of a database from before news were kept, once, from its latest events. Skips what it cannot read. */
export function makeFirstNews(db: Db, settings: Settings, news: NewsBoard, appliances: readonly string[]): void {
  if (settings.read(settingName) !== null) return;
  const latest = db.prepare<[string, string, number], Row>(
    `SELECT serial, body, received_at FROM events WHERE appliance = ? AND kind = ? AND role = 'updater'
     ORDER BY serial DESC LIMIT ?`,
  );
  db.transaction(() => {
    for (const appliance of appliances) {
      const rows = kinds.flatMap((kind) => latest.all(appliance, kind, eventsMax));
      for (const { body, received_at } of rows.toSorted((a, b) => a.serial - b.serial)) {
        const event = readStored(eventShape, body);
        if (event.outcome === 'read') news.note(appliance, received_at, factOf('updater', event.value));
      }
    }
    settings.write(settingName, 'yes');
  })();
}
