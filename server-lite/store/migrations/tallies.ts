/**
 * Events are also counted by writer. The count of removed ones was common to all writers, and continues with the writer
 * of most of them.
 */
export const talliesStep = `
  DROP INDEX events_to_keep;
  UPDATE events SET keep = 'note'
    WHERE role = 'server' AND (kind GLOB 'agent-*' OR kind GLOB 'updater-*' OR kind = 'outcome-not-offered');
  UPDATE events SET id = CASE id WHEN 'dropped-fact' THEN 'dropped-server-fact' ELSE replace(id, '-', '-agent-') END
    WHERE role = 'server' AND id IN ('dropped-fact', 'dropped-course', 'dropped-record', 'dropped-note');
  CREATE INDEX events_to_keep ON events (appliance, role, keep);

  ALTER TABLE event_tallies RENAME TO event_tallies_of_all;
  CREATE TABLE event_tallies (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    role TEXT NOT NULL,
    keep TEXT NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (appliance, role, keep)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO event_tallies (appliance, role, keep, events, bytes) SELECT appliance, role, keep, count(*),
    sum(length(CAST(body AS BLOB)) + length(CAST(text AS BLOB))) FROM events GROUP BY appliance, role, keep;
  INSERT INTO event_tallies (appliance, role, keep, events, bytes, dropped)
    SELECT appliance, CASE keep WHEN 'fact' THEN 'server' ELSE 'agent' END, keep, 0, 0, dropped
    FROM event_tallies_of_all WHERE dropped > 0
    ON CONFLICT (appliance, role, keep) DO UPDATE SET dropped = excluded.dropped;
  DROP TABLE event_tallies_of_all;
`;
