import { attemptsStep } from './migrations/attempts.ts';
import { listsStep } from './migrations/lists.ts';
import { rolledBackStep } from './migrations/rolled-back.ts';
import { talliesStep } from './migrations/tallies.ts';

/**
 * The database's schema, as the list of steps that made it; `user_version` is the number of steps that ran.
 * A released step is never edited.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  CREATE TABLE appliances (
    id TEXT PRIMARY KEY CHECK (id GLOB 'hf-*' AND length(id) = 23 AND id = lower(id)),
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    site TEXT NOT NULL,
    hardware TEXT,
    enrolled_at INTEGER NOT NULL,
    retired_at INTEGER,
    presence TEXT
  ) STRICT;

  CREATE TABLE claims (
    id INTEGER PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL COLLATE NOCASE,
    site TEXT NOT NULL,
    root_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by TEXT REFERENCES appliances (id)
  ) STRICT;

  CREATE TABLE keys (
    key_id TEXT PRIMARY KEY,
    appliance TEXT NOT NULL REFERENCES appliances (id),
    role TEXT NOT NULL CHECK (role IN ('agent', 'updater')),
    public_key TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL,
    revoked_at INTEGER,
    counter_ceiling INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX keys_of_appliance ON keys (appliance, role);

  CREATE TABLE events (
    serial INTEGER PRIMARY KEY,
    appliance TEXT NOT NULL REFERENCES appliances (id),
    role TEXT NOT NULL CHECK (role IN ('agent', 'updater', 'server')),
    id TEXT NOT NULL,
    n INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    body TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (appliance, role, id)
  ) STRICT;
  CREATE INDEX events_by_number ON events (appliance, role, n);
  CREATE INDEX events_by_kind ON events (appliance, kind, serial);

  CREATE TABLE acknowledged (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    role TEXT NOT NULL,
    upto INTEGER NOT NULL,
    PRIMARY KEY (appliance, role)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE orders (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    appliance TEXT NOT NULL REFERENCES appliances (id),
    kind TEXT NOT NULL,
    args TEXT NOT NULL,
    envelope TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'acknowledged', 'running', 'succeeded', 'failed', 'refused',
      'unsupported', 'expired')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    sent_at INTEGER,
    ended_at INTEGER,
    deliveries INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    crash_text TEXT NOT NULL DEFAULT '',
    error TEXT,
    result TEXT,
    fault TEXT
  ) STRICT;
  CREATE INDEX orders_open ON orders (appliance, serial)
    WHERE state IN ('queued', 'sent', 'acknowledged', 'running');

  CREATE TABLE releases (
    serial INTEGER PRIMARY KEY,
    component TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest TEXT NOT NULL UNIQUE,
    bundle_bytes INTEGER NOT NULL,
    bundle_sha256 TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    withdrawn_at INTEGER,
    UNIQUE (component, version)
  ) STRICT;

  CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    release INTEGER NOT NULL REFERENCES releases (serial),
    canaries TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'paused')),
    reason TEXT NOT NULL DEFAULT '',
    started_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE assignments (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    component TEXT NOT NULL,
    release INTEGER NOT NULL REFERENCES releases (serial),
    assigned_at INTEGER NOT NULL,
    PRIMARY KEY (appliance, component)
  ) STRICT, WITHOUT ROWID;
  `,
  // `upto` was "stored without a gap" and is now what a sender is told; `last_n` is the number that it sent last,
  // whatever came before, and moves in both directions.
  `
  ALTER TABLE acknowledged ADD COLUMN last_n INTEGER;
  ALTER TABLE acknowledged ADD COLUMN former_n INTEGER;
  INSERT INTO acknowledged (appliance, role, upto)
    SELECT appliance, role, 0 FROM events WHERE role IN ('agent', 'updater') GROUP BY appliance, role
    ON CONFLICT (appliance, role) DO NOTHING;

  CREATE TABLE event_gaps (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    role TEXT NOT NULL,
    from_n INTEGER NOT NULL,
    to_n INTEGER NOT NULL,
    of_from INTEGER NOT NULL,
    of_to INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (appliance, role, from_n)
  ) STRICT, WITHOUT ROWID;

  INSERT INTO event_gaps SELECT appliance, role, upto + 1, next - 1, upto + 1, next - 1, 0, 0 FROM (
    SELECT appliance, role, upto, (SELECT min(n) FROM events WHERE events.appliance = acknowledged.appliance
      AND events.role = acknowledged.role AND n > upto) AS next FROM acknowledged) WHERE next > upto + 1;
  INSERT INTO events (appliance, role, id, n, kind, text, body, received_at)
    SELECT appliance, 'server', lower(hex(randomblob(16))), 0, role || '-events-missing',
      'events ' || from_n || '-' || to_n || ' of its ' || role || ' had not arrived here when others had', '{}',
      (SELECT max(received_at) FROM events) FROM event_gaps;
  UPDATE acknowledged SET last_n = max(upto, coalesce((SELECT max(n) FROM events
    WHERE events.appliance = acknowledged.appliance AND events.role = acknowledged.role), 0));
  UPDATE acknowledged SET upto = min(last_n, upto + 1000000);
  `,
  attemptsStep,
  `
  ALTER TABLE claims ADD COLUMN for_appliance TEXT REFERENCES appliances (id);
  UPDATE appliances SET name = name || CASE WHEN EXISTS (SELECT 1 FROM appliances AS other
      WHERE other.name = appliances.name || ' (retired)' COLLATE NOCASE) THEN ' (retired 1' || rowid || ')'
    ELSE ' (retired)' END WHERE retired_at IS NOT NULL;
  `,
  listsStep,
  `
  CREATE TABLE clones (
    appliance TEXT PRIMARY KEY REFERENCES appliances (id),
    since INTEGER NOT NULL,
    sides TEXT NOT NULL,
    copy TEXT REFERENCES appliances (id)
  ) STRICT, WITHOUT ROWID;
  `,
  // For each appliance, events are kept by what they are worth, within bounds of number and bytes (store/keep.ts).
  `
  ALTER TABLE events ADD COLUMN keep TEXT NOT NULL DEFAULT 'note';
  UPDATE events SET keep = CASE
    WHEN role = 'server' AND kind <> 'fault' THEN 'fact'
    WHEN role = 'updater' AND kind IN ('release-committed', 'release-rolled-back', 'release-refused', 'safe-mode') THEN 'fact'
    WHEN kind IN ('agent-crashed', 'agent-recovered', 'release-installing', 'order') THEN 'course'
    WHEN kind = 'record' THEN 'record'
    ELSE 'note' END;
  CREATE INDEX events_to_keep ON events (appliance, keep);

  CREATE TABLE event_tallies (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    keep TEXT NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (appliance, keep)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO event_tallies (appliance, keep, events, bytes) SELECT appliance, keep, count(*),
    sum(length(CAST(body AS BLOB)) + length(CAST(text AS BLOB))) FROM events GROUP BY appliance, keep;
  `,
  talliesStep,
  // An updater's key always signed its own enrolment; whether an agent's key did is unknown.
  `
  ALTER TABLE keys ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;
  UPDATE keys SET proven = 1 WHERE role = 'updater';
  ALTER TABLE claims ADD COLUMN key_changes INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX claims_open_for ON claims (for_appliance) WHERE used_by IS NULL;
  `,
  'CREATE INDEX rollouts_of_release ON rollouts (release, id);',
  // Appliances that were retired before retiring ended orders and assignments still had both.
  `
  UPDATE orders SET state = 'failed', error = 'the appliance was retired',
    ended_at = max(created_at, (SELECT retired_at FROM appliances WHERE id = orders.appliance))
    WHERE state IN ('queued', 'sent', 'acknowledged', 'running')
      AND appliance IN (SELECT id FROM appliances WHERE retired_at IS NOT NULL);
  DELETE FROM assignments WHERE appliance IN (SELECT id FROM appliances WHERE retired_at IS NOT NULL);
  `,
  // Whose keys are in use twice, separated by blanks; unknown for an older alarm.
  "ALTER TABLE clones ADD COLUMN roles TEXT NOT NULL DEFAULT ''",
  rolledBackStep,
  "ALTER TABLE keys ADD COLUMN counters_ahead TEXT NOT NULL DEFAULT ''",
];
