import type { Fact } from '../../protocol/event.ts';
import { cut } from '../../protocol/text.ts';

import type { Db } from './database.ts';

/** Releases that one appliance failed to install: nobody reads more than these. */
const failedReleasesMax = 8;
const textMax = 2_000;

export interface FailedRelease {
  readonly component: string;
  readonly version: string;
  readonly times: number;
  /** Of the last try. */
  readonly reason: string;
  readonly text: string;
}

/** What lists show from an appliance's events: kept when an event is stored, so that no list has to search for it. */
export interface News {
  readonly crash: {
    readonly atMs: number;
    /** The version that crashed; null: unknown. */
    readonly version: string | null;
    readonly text: string;
    readonly output: string;
    /** A recovery, or another version, came after the crash. */
    readonly isOver: boolean;
  } | null;
  /** The last version that was rolled back, until one was committed; `evidence` is JSON. */
  readonly trial: {
    readonly atMs: number;
    readonly version: string;
    readonly text: string;
    readonly evidence: string;
  } | null;
  /** Releases that were tried and not committed, since the last commit; the latest first. */
  readonly failed: readonly FailedRelease[];
}

export interface NewsBoard {
  of(appliance: string): News;
  /** Of every appliance that has news. */
  all(): ReadonlyMap<string, News>;
  /** Applies one more event of the appliance's updater. */
  note(appliance: string, atMs: number, fact: Pick<Fact, 'kind' | 'text' | 'crash' | 'release'>): void;
}

export const noNews: News = { crash: null, trial: null, failed: [] };

interface NewsRow {
  readonly appliance: string;
  readonly crash_at: number | null;
  readonly crash_version: string | null;
  readonly crash_text: string;
  readonly crash_output: string;
  readonly crash_is_over: number;
  readonly trial_at: number | null;
  readonly trial_version: string;
  readonly trial_text: string;
  readonly trial_evidence: string;
}
type FailedRow = FailedRelease & { readonly appliance: string };

function crashFrom(row: NewsRow, atMs: number): NonNullable<News['crash']> {
  const { crash_version: version, crash_text: text, crash_output: output } = row;
  return { atMs, version, text, output, isOver: row.crash_is_over !== 0 };
}

function newsFrom(row: NewsRow | undefined, failed: readonly FailedRow[]): News {
  return {
    crash: row === undefined || row.crash_at === null ? null : crashFrom(row, row.crash_at),
    trial:
      row === undefined || row.trial_at === null
        ? null
        : { atMs: row.trial_at, version: row.trial_version, text: row.trial_text, evidence: row.trial_evidence },
    failed,
  };
}

/** Releases that an appliance tried and did not commit. */
function failuresOf(db: Db) {
  const of = db.prepare<[string], FailedRow>('SELECT * FROM failed_releases WHERE appliance = ? ORDER BY turn DESC');
  const all = db.prepare<[], FailedRow>('SELECT * FROM failed_releases ORDER BY turn DESC');
  const failed = db.prepare(
    `INSERT INTO failed_releases (appliance, manifest, component, version, times, reason, text, turn)
     VALUES (@appliance, @manifest, @component, @version, 1, @reason, @text,
       (SELECT coalesce(max(turn), 0) + 1 FROM failed_releases WHERE appliance = @appliance))
     ON CONFLICT (appliance, manifest) DO UPDATE SET component = excluded.component, version = excluded.version,
       times = times + 1, reason = excluded.reason, text = excluded.text, turn = excluded.turn`,
  );
  const dropOldest = db.prepare<[string, string, number]>(
    `DELETE FROM failed_releases WHERE appliance = ? AND turn <= (SELECT turn FROM failed_releases WHERE appliance = ?
       ORDER BY turn DESC LIMIT 1 OFFSET ?)`,
  );
  const dropFailed = db.prepare<[string]>('DELETE FROM failed_releases WHERE appliance = ?');

  return {
    of: (appliance: string) => of.all(appliance),
    all: () => all.all(),
    forget: (appliance: string) => {
      dropFailed.run(appliance);
    },
    note: (appliance: string, text: string, { release }: Pick<Fact, 'release'>) => {
      if (release?.reason === undefined) return;
      const { manifest, component, version, reason } = release;
      failed.run({ appliance, manifest, component, version, reason, text });
      dropOldest.run(appliance, appliance, failedReleasesMax);
    },
  };
}

export function newsOf(db: Db): NewsBoard {
  const one = db.prepare<[string], NewsRow>('SELECT * FROM appliance_news WHERE appliance = ?');
  const every = db.prepare<[], NewsRow>('SELECT * FROM appliance_news');
  const begin = db.prepare<[string]>('INSERT INTO appliance_news (appliance) VALUES (?) ON CONFLICT DO NOTHING');
  const crashed = db.prepare<[number, string | null, string, string, string]>(
    'UPDATE appliance_news SET crash_at = ?, crash_version = ?, crash_text = ?, crash_output = ?, crash_is_over = 0 WHERE appliance = ?',
  );
  const recovered = db.prepare<[string]>('UPDATE appliance_news SET crash_is_over = 1 WHERE appliance = ?');
  const tried = db.prepare<[number | null, string, string, string, string]>(
    'UPDATE appliance_news SET trial_at = ?, trial_version = ?, trial_text = ?, trial_evidence = ? WHERE appliance = ?',
  );
  const failures = failuresOf(db);
  return {
    of: (appliance) => newsFrom(one.get(appliance), failures.of(appliance)),
    all: () => {
      const byAppliance = Map.groupBy(failures.all(), (row) => row.appliance);
      const rows = new Map(every.all().map((row) => [row.appliance, row]));
      return new Map([...rows].map(([id, row]) => [id, newsFrom(row, byAppliance.get(id) ?? [])]));
    },
    note: (appliance, atMs, fact) => {
      begin.run(appliance);
      const text = cut(fact.text, textMax);
      switch (fact.kind) {
        case 'agent-crashed':
          crashed.run(atMs, fact.crash?.version ?? null, text, fact.crash?.output ?? '', appliance);
          return;
        case 'agent-recovered':
          recovered.run(appliance);
          return;
        case 'release-committed':
          recovered.run(appliance);
          tried.run(null, '', '', '', appliance);
          failures.forget(appliance);
          return;
        case 'release-rolled-back': {
          recovered.run(appliance);
          const evidence = fact.release?.evidence;
          if (evidence === undefined) tried.run(null, '', '', '', appliance);
          else tried.run(atMs, fact.release?.version ?? '', text, JSON.stringify(evidence), appliance);
          failures.note(appliance, text, fact);
          return;
        }
        case 'release-refused':
        case 'note':
          failures.note(appliance, text, fact);
          return;
        default:
      }
    },
  };
}
