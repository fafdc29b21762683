/**
 * Lists find their content by an index, or it is kept when it is written. A fact that a program cannot know becomes its
 * note; an order can be cancelled.
 */
export const listsStep = `
  UPDATE events SET text = kind || CASE text WHEN '' THEN '' ELSE ': ' || text END, kind = 'note'
    WHERE (role = 'agent' AND kind NOT IN ('record', 'order', 'note', 'unreadable'))
      OR (role = 'updater' AND kind IN ('record', 'order'));
  CREATE INDEX events_of_appliance ON events (appliance);
  CREATE INDEX events_of_kind ON events (kind);

  CREATE TABLE appliance_news (
    appliance TEXT PRIMARY KEY REFERENCES appliances (id),
    crash_at INTEGER,
    crash_version TEXT,
    crash_text TEXT NOT NULL DEFAULT '',
    crash_output TEXT NOT NULL DEFAULT '',
    crash_is_over INTEGER NOT NULL DEFAULT 0,
    trial_at INTEGER,
    trial_version TEXT NOT NULL DEFAULT '',
    trial_text TEXT NOT NULL DEFAULT '',
    trial_evidence TEXT NOT NULL DEFAULT ''
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE failed_releases (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    manifest TEXT NOT NULL,
    component TEXT NOT NULL,
    version TEXT NOT NULL,
    times INTEGER NOT NULL,
    reason TEXT NOT NULL,
    text TEXT NOT NULL,
    turn INTEGER NOT NULL,
    PRIMARY KEY (appliance, manifest)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE orders_with_cancel (
    serial INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    appliance TEXT NOT NULL REFERENCES appliances (id),
    kind TEXT NOT NULL,
    args TEXT NOT NULL,
    envelope TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'acknowledged', 'running', 'succeeded', 'failed', 'refused',
      'unsupported', 'expired', 'cancelled')),
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
  INSERT INTO orders_with_cancel SELECT serial, id, appliance, kind, args, envelope, state, created_at, expires_at, sent_at,
    ended_at, deliveries, crashes, crash_text, error, result, fault FROM orders;
  DROP TABLE orders;
  ALTER TABLE orders_with_cancel RENAME TO orders;
  CREATE INDEX orders_open ON orders (appliance, serial)
    WHERE state IN ('queued', 'sent', 'acknowledged', 'running');
  CREATE INDEX orders_due ON orders (expires_at) WHERE state IN ('queued', 'sent', 'acknowledged', 'running');
  CREATE INDEX orders_of_appliance ON orders (appliance);

  CREATE INDEX claims_unused ON claims (name) WHERE used_by IS NULL;
  CREATE INDEX claims_ending ON claims (expires_at) WHERE used_by IS NULL;
`;
