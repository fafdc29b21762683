/**
 * From here on the code checks the states of a rollout. Offers from before this step are unknown. Proof and failure are
 * taken from the updaters' reports, and only where these leave no doubt; an appliance that runs a release proves it
 * anew.
 */
export const attemptsStep = `
  CREATE TABLE rollouts_with_ends (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    release INTEGER NOT NULL REFERENCES releases (serial),
    canaries TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    started_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    opened_at INTEGER,
    offers_known INTEGER NOT NULL DEFAULT 1
  ) STRICT;
  INSERT INTO rollouts_with_ends
    SELECT id, release, canaries, state, reason, started_at, changed_at, NULL, 0 FROM rollouts;
  DROP TABLE rollouts;
  ALTER TABLE rollouts_with_ends RENAME TO rollouts;
  CREATE INDEX rollouts_by_state ON rollouts (state, id);

  CREATE TABLE rollout_changes (
    serial INTEGER PRIMARY KEY,
    rollout INTEGER NOT NULL REFERENCES rollouts (id),
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rollout_changes_of ON rollout_changes (rollout, serial);
  INSERT INTO rollout_changes (rollout, at, state, reason)
    SELECT id, changed_at, state, reason FROM rollouts WHERE state <> 'running';

  CREATE TABLE attempts (
    serial INTEGER PRIMARY KEY,
    rollout INTEGER REFERENCES rollouts (id),
    appliance TEXT NOT NULL REFERENCES appliances (id),
    release INTEGER NOT NULL REFERENCES releases (serial),
    offered_at INTEGER NOT NULL,
    started_at INTEGER,
    outcome TEXT,
    reason TEXT NOT NULL DEFAULT '',
    at INTEGER,
    proven_at INTEGER
  ) STRICT;
  CREATE INDEX attempts_of_rollout ON attempts (rollout, appliance, serial);
  CREATE INDEX attempts_of_appliance ON attempts (appliance, release, serial);
  CREATE INDEX attempts_open ON attempts (appliance) WHERE outcome IS NULL;

  WITH told AS (
    SELECT serial, appliance, kind, text, received_at, json_extract(body, '$.release.manifest') AS manifest,
      json_extract(body, '$.release.from') AS came_from,
      coalesce(json_extract(body, '$.release.reason'), '') AS reason
    FROM (SELECT *, CASE WHEN json_valid(body) THEN body ELSE '{}' END AS body FROM
      (SELECT serial, appliance, kind, text, received_at, body FROM events WHERE role = 'updater'
        AND kind IN ('release-committed', 'release-rolled-back', 'release-refused')))
  ), last AS (
    SELECT max(t.serial) AS serial, o.id AS rollout, o.release, o.started_at, r.component, r.version, r.manifest,
      t.appliance, t.kind, t.text, t.reason, t.received_at
    FROM rollouts o JOIN releases r ON r.serial = o.release
      JOIN told t ON t.manifest = r.manifest AND t.received_at >= o.started_at
    WHERE t.kind <> 'release-refused' OR t.reason IN ('bad-bundle', 'bad-chunk', 'bad-manifest', 'not-a-bundle',
      'probe-failed', 'revoked', 'version-mismatch', 'wrong-manifest')
      OR (t.reason LIKE 'tuf-%' AND t.reason NOT IN ('tuf-expired', 'tuf-incomplete'))
    GROUP BY o.id, t.appliance
  ), said AS (
    SELECT last.*, CASE WHEN json_valid(a.presence) THEN a.presence ELSE '{}' END AS presence
    FROM last JOIN appliances a ON a.id = last.appliance
  )
  INSERT INTO attempts (rollout, appliance, release, offered_at, outcome, reason, at, proven_at)
    SELECT rollout, appliance, release, started_at, 'failed', substr(text, 1, 300), received_at, NULL FROM said
      WHERE kind = 'release-refused' OR (kind = 'release-rolled-back' AND reason NOT IN ('by-hand', 'inconclusive'))
    UNION ALL
    SELECT rollout, appliance, release, started_at, 'proven', 'it was committed, and runs healthy', received_at,
      received_at FROM said
      WHERE kind = 'release-committed' AND json_extract(presence, '$.updater.have.' || component || '.version') = version
        AND json_extract(presence, '$.updater.settled') >= 2
        AND json_extract(presence, '$.updater.row') IN ('idle', 'resolved', 'fetching', 'writing', 'sealed', 'closing')
        AND json_extract(presence, '$.updater.status') = 'ok'
        AND json_extract(presence, '$.updater.agentAlive') IS NOT 0
        AND json_extract(presence, '$.agent.status') IN ('ok', 'warn')
        AND coalesce(json_extract(presence, '$.agent.have.app.version'),
          json_extract(presence, '$.updater.have.app.version')) = json_extract(presence, '$.updater.have.app.version')
    UNION ALL
    SELECT rollout, appliance, release, started_at, 'proven', 'it was committed, and a newer one since', received_at,
      received_at FROM said
      WHERE kind = 'release-committed' AND EXISTS (SELECT 1 FROM told WHERE told.appliance = said.appliance
        AND told.kind = 'release-committed' AND told.serial > said.serial AND told.came_from = said.version);
`;
