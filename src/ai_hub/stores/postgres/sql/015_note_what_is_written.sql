-- What every write to ai_features leaves behind, by ai-hub or by SQL: which series there are and on
-- which days, and (with hourly partials) which of them changed behind the refreshed hours.

-- Days, so that a series of every minute is noted once a day. The last one is exact unless `shrunk`:
-- then rows of it were deleted, and whether others are left is to be asked.
CREATE TABLE IF NOT EXISTS ai_hub_series (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  feature_type TEXT COLLATE "C" NOT NULL,
  first_day TIMESTAMPTZ NOT NULL,
  last_day TIMESTAMPTZ NOT NULL CHECK (first_day <= last_day),
  shrunk BOOLEAN NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, asset_id, feature_type)
) WITH (fillfactor = 70);
COMMENT ON TABLE ai_hub_series IS 'The series of each asset, and the days of their first and last rows.';
COMMENT ON COLUMN ai_hub_series.tenant_id IS 'The tenant';
COMMENT ON COLUMN ai_hub_series.asset_id IS 'The asset';
COMMENT ON COLUMN ai_hub_series.feature_type IS 'The series';
COMMENT ON COLUMN ai_hub_series.first_day IS 'No row is before it; UTC';
COMMENT ON COLUMN ai_hub_series.last_day IS 'No row is after it, and one is in it unless shrunk; UTC';
COMMENT ON COLUMN ai_hub_series.shrunk IS 'Whether rows of the last day were deleted since it was noted';

CREATE OR REPLACE FUNCTION ai_hub_note_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  -- In the order of the key, so that two writers never wait for each other.
  INSERT INTO ai_hub_series AS s (tenant_id, asset_id, feature_type, first_day, last_day)
    SELECT n.tenant_id, n.asset_id, n.feature_type, n.first_day, n.last_day
    FROM (
      SELECT tenant_id, asset_id, feature_type,
        date_bin(INTERVAL '1 day', min(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00') AS first_day,
        date_bin(INTERVAL '1 day', max(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00') AS last_day
      FROM written
      GROUP BY tenant_id, asset_id, feature_type
    ) AS n
    LEFT JOIN ai_hub_series AS o ON o.tenant_id = n.tenant_id AND o.asset_id = n.asset_id
      AND o.feature_type = n.feature_type
    WHERE o.first_day IS NULL OR n.first_day < o.first_day OR n.last_day > o.last_day
      OR (o.shrunk AND n.last_day = o.last_day)
    ORDER BY n.tenant_id, n.asset_id, n.feature_type
  ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
    SET first_day = least(s.first_day, excluded.first_day),
      last_day = greatest(s.last_day, excluded.last_day),
      shrunk = s.shrunk AND s.last_day > excluded.last_day;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_rows IS 'Notes in ai_hub_series which series were written, and their days.';

CREATE OR REPLACE FUNCTION ai_hub_note_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE ai_hub_series SET shrunk = true
    WHERE tenant_id = OLD.tenant_id AND asset_id = OLD.asset_id
      AND feature_type = OLD.feature_type AND last_day <= OLD.timestamp AND NOT shrunk;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_gone IS 'Notes in ai_hub_series that a row of the last day was deleted.';

CREATE OR REPLACE FUNCTION ai_hub_note_empty() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  DELETE FROM ai_hub_series;
  -- No hour is known to be true.
  UPDATE ai_hub_hourly SET done = '-infinity';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_empty IS 'Notes that ai_features was emptied.';

\if :timescaledb
-- A writer leaves in ai_hub_late the first and last time that it touched behind `announced`: the
-- protocol of ai_hub_hourly, in the transaction of who writes.
CREATE OR REPLACE FUNCTION ai_hub_announced() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- In this order: with the lock we see what was announced before we got it. Who reads a snapshot
  -- of before does not.
  PERFORM pg_advisory_xact_lock_shared(7248003001);
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN 'infinity';
  END IF;
  RETURN (SELECT announced FROM ai_hub_hourly);
END
$$;
COMMENT ON FUNCTION ai_hub_announced IS 'Before which time a writer has to leave a row in ai_hub_late.';

CREATE OR REPLACE FUNCTION ai_hub_note_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  known timestamptz;
BEGIN
  IF NOT EXISTS (SELECT FROM written) THEN
    RETURN NULL;
  END IF;
  known := ai_hub_announced();
  INSERT INTO ai_hub_late AS l (tenant_id, asset_id, feature_type, first, last, stamp)
    SELECT n.*, nextval('ai_hub_late_stamp') FROM (
      SELECT tenant_id, asset_id, feature_type, min(timestamp), max(timestamp)
      FROM written WHERE timestamp < known
      GROUP BY tenant_id, asset_id, feature_type
      ORDER BY tenant_id, asset_id, feature_type
    ) AS n
  ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
    SET first = least(l.first, excluded.first), last = greatest(l.last, excluded.last),
      stamp = excluded.stamp;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_late IS 'Notes in ai_hub_late what was written behind the refreshed hours.';

CREATE OR REPLACE FUNCTION ai_hub_note_late_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  -- Of many rows of a series the first says it for those between, but not for another transaction.
  IF EXISTS (SELECT FROM ai_hub_late
      WHERE tenant_id = OLD.tenant_id AND asset_id = OLD.asset_id
        AND feature_type = OLD.feature_type AND first <= OLD.timestamp AND last >= OLD.timestamp
        AND xmin = pg_current_xact_id()::xid) THEN
    RETURN NULL;
  END IF;
  IF OLD.timestamp < ai_hub_announced() THEN
    INSERT INTO ai_hub_late AS l (tenant_id, asset_id, feature_type, first, last)
      VALUES (OLD.tenant_id, OLD.asset_id, OLD.feature_type, OLD.timestamp, OLD.timestamp)
    ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
      SET first = least(l.first, excluded.first), last = greatest(l.last, excluded.last),
        stamp = excluded.stamp;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_late_gone IS
  'Notes in ai_hub_late that a row behind the refreshed hours was deleted.';
\endif

-- They run as their owner, whatever the writer may do; so no relation of the writer's own may stand
-- in for one of these.
DO $$
DECLARE
  one regprocedure;
BEGIN
  FOR one IN
    SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname, 'ai_hub_note_')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp',
      one, current_schema());
    -- A plan for one row is used for many: it takes the index.
    EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', one);
  END LOOP;
END
$$;

CREATE OR REPLACE TRIGGER ai_hub_note_inserted AFTER INSERT ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_rows();
CREATE OR REPLACE TRIGGER ai_hub_note_moved_in AFTER UPDATE ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_rows();
CREATE OR REPLACE TRIGGER ai_hub_note_moved_out
  AFTER UPDATE OF tenant_id, asset_id, feature_type, timestamp ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_gone();
CREATE OR REPLACE TRIGGER ai_hub_note_deleted AFTER DELETE ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_gone();
CREATE OR REPLACE TRIGGER ai_hub_note_truncated AFTER TRUNCATE ON ai_features
  FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_empty();
COMMENT ON TRIGGER ai_hub_note_inserted ON ai_features IS 'Notes the series that were written.';
COMMENT ON TRIGGER ai_hub_note_moved_in ON ai_features IS 'Notes the series that were written.';
COMMENT ON TRIGGER ai_hub_note_moved_out ON ai_features IS 'Notes the series that lost a row.';
COMMENT ON TRIGGER ai_hub_note_deleted ON ai_features IS 'Notes the series that lost a row.';
COMMENT ON TRIGGER ai_hub_note_truncated ON ai_features IS 'Notes that all series lost their rows.';
\if :timescaledb
CREATE OR REPLACE TRIGGER ai_hub_late_inserted AFTER INSERT ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_late();
CREATE OR REPLACE TRIGGER ai_hub_late_updated AFTER UPDATE ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_late();
CREATE OR REPLACE TRIGGER ai_hub_late_moved_out
  AFTER UPDATE OF tenant_id, asset_id, feature_type, timestamp ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_late_gone();
CREATE OR REPLACE TRIGGER ai_hub_late_deleted AFTER DELETE ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_late_gone();
COMMENT ON TRIGGER ai_hub_late_inserted ON ai_features IS 'Notes what is behind the refreshed hours.';
COMMENT ON TRIGGER ai_hub_late_updated ON ai_features IS 'Notes what is behind the refreshed hours.';
COMMENT ON TRIGGER ai_hub_late_moved_out ON ai_features IS 'Notes what is behind the refreshed hours.';
COMMENT ON TRIGGER ai_hub_late_deleted ON ai_features IS 'Notes what is behind the refreshed hours.';
\endif

-- Nobody writes to the table from the first trigger on until this is committed.
INSERT INTO ai_hub_series (tenant_id, asset_id, feature_type, first_day, last_day)
SELECT tenant_id, asset_id, feature_type,
  date_bin(INTERVAL '1 day', min(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00'),
  date_bin(INTERVAL '1 day', max(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00')
FROM ai_features
GROUP BY tenant_id, asset_id, feature_type
ON CONFLICT DO NOTHING;
