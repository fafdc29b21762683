/** Earlier reports count, as far as they can be read. */
export const rolledBackStep = `
  CREATE TABLE rolled_back (
    appliance TEXT NOT NULL REFERENCES appliances (id),
    manifest TEXT NOT NULL,
    reason TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (appliance, manifest)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO rolled_back (appliance, manifest, reason, at)
    SELECT appliance, manifest, reason, at FROM (
      SELECT appliance, max(serial) AS newest, received_at AS at,
        json_extract(body, '$.release.manifest') AS manifest, json_extract(body, '$.release.reason') AS reason
      FROM events WHERE kind = 'release-rolled-back' AND role = 'updater'
        AND CASE WHEN json_valid(body) THEN json_type(body, '$.release.manifest') END = 'text'
        AND coalesce(json_type(body, '$.release.reason'), 'text') = 'text'
      GROUP BY appliance, json_extract(body, '$.release.manifest')
    );
`;
