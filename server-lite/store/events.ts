import type { Role } from './appliances.ts';
import type { Db } from './database.ts';

/** Releases that one appliance failed to install: more than this nobody reads. */
const failedReleasesMax = 8;

export interface EventRow {
  readonly serial: number;
  readonly appliance: string;
  readonly role: Role | 'server';
  readonly id: string;
  readonly n: number;
  readonly kind: string;
  readonly text: string;
  /** The event as its sender wrote it, as JSON. */
  readonly body: string;
  readonly received_at: number;
}

export interface RecordRow {
  readonly n: number;
  readonly name: string;
  readonly sha256: string;
}

export interface FailedReleaseRow {
  readonly component: string;
  readonly version: string;
  readonly times: number;
  /** Of the last try. */
  readonly reason: string;
  readonly text: string;
}

export interface Events {
  /** @returns false when this event was stored before: a repetition changes nothing */
  add(event: Omit<EventRow, 'serial'>): boolean;
  ackUpto(appliance: string, role: Role): number;
  /** Moves the acknowledgement over every number that is stored without a gap. */
  advance(appliance: string, role: Role): number;
  /** Newest first. */
  list(filter: { readonly appliance?: string; readonly kind?: string; readonly limit: number }): EventRow[];
  /** The latest event of one of these kinds. */
  latest(appliance: string, kinds: readonly string[]): EventRow | undefined;
  /** By release, the latest first: tries that did not end in a commit, since the last commit of this appliance. */
  failedReleases(appliance: string): FailedReleaseRow[];
  records(appliance: string, after: number, limit: number): RecordRow[];
}

/** Events of all appliances; stored before they are acknowledged. */
export function eventsOf(db: Db): Events {
  const add = db.prepare(
    `INSERT INTO events (appliance, role, id, n, kind, text, body, received_at)
     VALUES (@appliance, @role, @id, @n, @kind, @text, @body, @received_at) ON CONFLICT (appliance, role, id) DO NOTHING`,
  );
  const ack = db.prepare<[string, string], { upto: number }>(
    'SELECT upto FROM acknowledged WHERE appliance = ? AND role = ?',
  );
  const next = db.prepare<[string, string, number], { n: number }>(
    'SELECT n FROM events WHERE appliance = ? AND role = ? AND n = ? LIMIT 1',
  );
  const writeAck = db.prepare<[string, string, number]>(
    `INSERT INTO acknowledged (appliance, role, upto) VALUES (?, ?, ?)
     ON CONFLICT (appliance, role) DO UPDATE SET upto = excluded.upto`,
  );
  const list = db.prepare<{ appliance: string | null; kind: string | null; limit: number }, EventRow>(
    `SELECT * FROM events WHERE appliance = coalesce(@appliance, appliance) AND kind = coalesce(@kind, kind)
     ORDER BY serial DESC LIMIT @limit`,
  );
  const latest = db.prepare<[string, string], EventRow>(
    `SELECT * FROM events WHERE appliance = ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY serial DESC LIMIT 1`,
  );
  const records = db.prepare<[string, number, number], RecordRow>(
    `SELECT n, json_extract(body, '$.record.name') AS name, json_extract(body, '$.record.sha256') AS sha256
     FROM events WHERE appliance = ? AND role = 'agent' AND kind = 'record' AND n > ?
       AND json_type(body, '$.record.name') = 'text' ORDER BY n LIMIT ?`,
  );
  // A refusal that says nothing against the release (no space, say) comes as a note. The columns beside max() are those of
  // its row (SQLite, "bare columns in an aggregate query").
  const failedReleases = db.prepare<{ appliance: string; limit: number }, FailedReleaseRow & { serial: number }>(
    `SELECT max(serial) AS serial, count(*) AS times, text, json_extract(body, '$.release.component') AS component,
       json_extract(body, '$.release.version') AS version, json_extract(body, '$.release.reason') AS reason
     FROM events WHERE appliance = @appliance AND role = 'updater'
       AND kind IN ('release-refused', 'release-rolled-back', 'note') AND json_type(body, '$.release.reason') = 'text'
       AND serial > coalesce((SELECT max(serial) FROM events
         WHERE appliance = @appliance AND role = 'updater' AND kind = 'release-committed'), 0)
     GROUP BY json_extract(body, '$.release.manifest') ORDER BY 1 DESC LIMIT @limit`,
  );
  const ackUpto = (appliance: string, role: Role): number => ack.get(appliance, role)?.upto ?? 0;
  return {
    add: (event) => add.run(event).changes === 1,
    ackUpto,
    advance: (appliance, role) => {
      const before = ackUpto(appliance, role);
      let upto = before;
      while (next.get(appliance, role, upto + 1) !== undefined) upto += 1;
      if (upto !== before) writeAck.run(appliance, role, upto);
      return upto;
    },
    list: ({ appliance, kind, limit }) => list.all({ appliance: appliance ?? null, kind: kind ?? null, limit }),
    latest: (appliance, kinds) => latest.get(appliance, JSON.stringify(kinds)),
    failedReleases: (appliance) => failedReleases.all({ appliance, limit: failedReleasesMax }),
    records: (appliance, after, limit) => records.all(appliance, after, limit),
  };
}
