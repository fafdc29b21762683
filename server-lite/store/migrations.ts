/**
 * The database's schema, as the list of steps that made it; `user_version` is the number of steps that ran.
 * A step that has been released is never edited.
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
];
