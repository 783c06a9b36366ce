-- Where rows leave by DELETE alone, many do at a time: that a series lost some is noted once for each
-- statement. TimescaleDB drops chunks, has no such trigger where it has a columnstore, and keeps the
-- one that looks at each row.

\if :timescaledb
\else
CREATE OR REPLACE FUNCTION ai_hub_note_deletion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  -- In the order of the key, so that two who delete never wait for each other.
  WITH lost AS (
    SELECT s.tenant_id, s.asset_id, s.feature_type
    FROM (
      SELECT tenant_id, asset_id, feature_type, max(timestamp) AS last
      FROM deleted GROUP BY tenant_id, asset_id, feature_type
    ) AS d
    JOIN ai_hub_series AS s ON s.tenant_id = d.tenant_id AND s.asset_id = d.asset_id
      AND s.feature_type = d.feature_type
    WHERE s.last_day <= d.last AND NOT s.shrunk
    ORDER BY s.tenant_id, s.asset_id, s.feature_type
    FOR UPDATE OF s
  )
  UPDATE ai_hub_series AS s SET shrunk = true FROM lost AS l
    WHERE s.tenant_id = l.tenant_id AND s.asset_id = l.asset_id
      AND s.feature_type = l.feature_type;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_deletion IS
  'Notes in ai_hub_series that rows of the last day were deleted.';
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION ai_hub_note_deletion() SET search_path = pg_catalog, %I, pg_temp',
    current_schema());
END
$$;
ALTER FUNCTION ai_hub_note_deletion() SET enable_seqscan = off;

CREATE OR REPLACE TRIGGER ai_hub_note_deleted AFTER DELETE ON ai_features
  REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_deletion();
COMMENT ON TRIGGER ai_hub_note_deleted ON ai_features IS 'Notes the series that lost a row.';
\endif
